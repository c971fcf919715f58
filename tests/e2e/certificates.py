"""Makes certificates with openssl."""

import pathlib
import subprocess


class Authority:
    """A root that signs certificates, in a folder."""

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.root = self.folder / f"{name}.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-days", "10",
                      "-subj", f"/CN={name}", "-keyout",
                      self.folder / f"{name}.key", "-out", self.root)
        (self.folder / f"{name}.index").touch()
        (self.folder / f"{name}.cnf").write_text(
            f"[ca]\ndefault_ca = d\n[d]\ndatabase = {self.folder}/{name}.index\n"
            f"new_certs_dir = {self.folder}\nrand_serial = yes\n"
            "default_md = sha256\npolicy = p\nunique_subject = no\n"
            "copy_extensions = copy\n[p]\ncommonName = supplied\n",
            encoding="utf-8")

    def issue(self, name, host="", begin="", end=""):
        """Files of a certificate and its key. `begin` and `end`: YYYYMMDDHHMMSSZ;
        otherwise it is good for some days."""
        key, request, certificate = (self.folder / f"{name}.{kind}"
                                     for kind in ("key", "csr", "pem"))
        extension = ["-addext", f"subjectAltName={host}"] if host else []
        self._openssl("req", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-subj",
                      f"/CN={name}", *extension, "-keyout", key, "-out", request)
        dates = (["-startdate", begin, "-enddate", end] if begin
                 else ["-days", "5"])
        self._openssl("ca", "-batch", "-notext", "-config",
                      self.folder / f"{self.name}.cnf", "-cert", self.root,
                      "-keyfile", self.folder / f"{self.name}.key", *dates,
                      "-in", request, "-out", certificate)
        return certificate, key

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True,
                       capture_output=True)
