"""Kernels and modules in the forms that distributions pack them."""

import bz2
import gzip
import lzma
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

import linux_kernel

ELF = b"\x7fELF and what follows" * 100


def zstd(data):
    return subprocess.run(["zstd", "-cq"], input=data, capture_output=True,
                          check=True).stdout


def packings():
    yield "none", lambda data: data
    yield "xz", lzma.compress
    yield "gzip", gzip.compress
    yield "bzip2", bz2.compress
    if shutil.which("zstd"):
        yield "zstd", zstd


def image_with(payload):
    """A bzImage of 3 setup sectors whose payload begins 40 bytes into the
    kernel proper."""
    image = bytearray(4 * 512 + 40)
    image[0x1f1] = 3
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 40, len(payload))
    return bytes(image) + payload + b"what follows the payload"


def module(*depends):
    return b"\x7fELF\0depends=" + ",".join(depends).encode() + b"\0name=x\0"


class LinuxKernelTest(unittest.TestCase):
    def test_finds_the_kernel_in_its_image(self):
        for name, pack in packings():
            with self.subTest(name):
                self.assertEqual(
                    linux_kernel.unpack_vmlinux(image_with(pack(ELF))), ELF)

    def test_size_after_the_stream_is_left_alone(self):
        packed = lzma.compress(ELF) + struct.pack("<I", len(ELF))
        self.assertEqual(linux_kernel.unpack_vmlinux(image_with(packed)), ELF)

    def test_unknown_images_are_left_to_themselves(self):
        for image in (bytes(1024), image_with(b"\x02\x21\x4c\x18 lz4"), ELF):
            self.assertIsNone(linux_kernel.unpack_vmlinux(image))

    def test_modules_come_after_what_they_depend_on(self):
        with tempfile.TemporaryDirectory() as folder:
            modules = pathlib.Path(folder, "lib/modules/6.1-x/kernel")
            modules.mkdir(parents=True)
            pathlib.Path(folder, "boot").mkdir()
            pathlib.Path(folder, "boot/vmlinuz-6.1-x").write_bytes(ELF)
            for name, content in {
                    "9p.ko": module("9pnet", "netfs"),
                    "9pnet.ko.xz": lzma.compress(module()),
                    "netfs.ko.gz": gzip.compress(module("fs-cache")),
                    "fs-cache.ko": module()}.items():
                (modules / name).write_bytes(content)
            kernel = linux_kernel.LinuxKernel(folder)
            loaded = kernel.modules(["9p"])
            self.assertEqual([name for name, _ in loaded],
                             ["9pnet", "fs_cache", "netfs", "9p"])
            for _, content in loaded:
                self.assertTrue(content.startswith(b"\x7fELF"))
            self.assertEqual(kernel.boot_file(folder), kernel.image)
            with self.assertRaisesRegex(FileNotFoundError, "no module e1000"):
                kernel.modules(["e1000"])

    def test_empty_folder_is_named(self):
        with self.assertRaisesRegex(FileNotFoundError, "fetch_kernel.sh"):
            linux_kernel.LinuxKernel("/nonexistent")


if __name__ == "__main__":
    unittest.main()
