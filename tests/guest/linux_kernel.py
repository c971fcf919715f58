"""A Linux kernel as Debian packages it, in the form that QEMU starts fastest."""

import bz2
import gzip
import lzma
import pathlib
import re
import shutil
import struct
import subprocess

# What the initramfs needs to find the host's files.
WANTED_MODULES = ("virtio_pci", "9pnet_virtio", "9p")


def _unpack_xz(data):
    # What follows the stream (the kernel appends a size) is left alone.
    return lzma.LZMADecompressor().decompress(data)


def _unpack_zstd(data):
    if shutil.which("zstd") is None:
        return b""
    return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True,
                          check=False).stdout


COMPRESSIONS = {
    b"\xfd7zXZ\x00": _unpack_xz,
    b"\x1f\x8b": gzip.decompress,
    b"BZh": lambda data: bz2.BZ2Decompressor().decompress(data),
    b"\x28\xb5\x2f\xfd": _unpack_zstd,
}


def decompress(data):
    """The data as they are when they are compressed in no known way."""
    for magic, unpack in COMPRESSIONS.items():
        if data.startswith(magic):
            return unpack(data)
    return data


def unpack_vmlinux(image):
    """The ELF file inside a bzImage, whose setup header says where it is (Linux,
    Documentation/x86/boot.rst); None where it is compressed in another way."""
    if image[0x202:0x206] != b"HdrS":
        return None
    setup_sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    vmlinux = decompress(image[begin:begin + length])
    return vmlinux if vmlinux.startswith(b"\x7fELF") else None


class LinuxKernel:
    """The kernel below a folder that fetch_kernel.sh has filled."""

    def __init__(self, folder):
        images = sorted(pathlib.Path(folder, "boot").glob("vmlinuz-*"))
        if not images:
            raise FileNotFoundError(
                f"no kernel in {folder}: run tests/guest/fetch_kernel.sh {folder}")
        self.image = images[-1]
        release = self.image.name.removeprefix("vmlinuz-")
        self._files = {}
        for path in pathlib.Path(folder, "lib/modules", release).rglob("*.ko*"):
            name = path.name[:path.name.index(".ko")].replace("-", "_")
            self._files[name] = path

    def boot_file(self, folder):
        """A file for QEMU's -kernel: the unpacked kernel or, where that cannot
        be had, the image, which unpacks itself, slowly."""
        vmlinux = unpack_vmlinux(self.image.read_bytes())
        if vmlinux is None:
            return self.image
        path = pathlib.Path(folder, "vmlinux")
        path.write_bytes(vmlinux)
        return path

    def modules(self, names=WANTED_MODULES):
        """[(name, content)] of the modules and what they depend on, in an order
        in which they can be loaded."""
        loaded = {}

        def load(name):
            if name in loaded:
                return
            if name not in self._files:
                raise FileNotFoundError(
                    f"the kernel {self.image.name} has no module {name}")
            content = decompress(self._files[name].read_bytes())
            # depmod's source, the section .modinfo.
            depends = re.search(rb"\0depends=([^\0]*)\0", content)
            if depends is None:
                raise ValueError(f"{self._files[name]} cannot be unpacked")
            for other in filter(None, depends[1].decode().split(",")):
                load(other.replace("-", "_"))
            loaded[name] = content

        for name in names:
            load(name)
        return list(loaded.items())
