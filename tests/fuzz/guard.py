"""What a loader must not do while it reads a file: run code, reach out, take all memory."""

import os
import resource
import sys
import sysconfig

#: Events of Python's audit that no loader has a reason for.
_FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile"),
    *("subprocess.", "pickle.find_class", "socket.", "ctypes.dlopen", "webbrowser.", "shutil."),
    *("os.remove", "os.rename", "os.mkdir", "os.chmod", "os.link", "os.symlink", "os.truncate"),
    *("urllib.", "ftplib.", "smtplib.", "http.client", "builtins.input"),
)

#: What the product imports only once it is needed.
_OPTIONAL = {
    *("torch", "onnx", "onnxruntime", "pandas", "pyarrow", "lightgbm", "xgboost", "sklearn"),
    *("jinja2", "markupsafe", "pymcdm", "zarr", "dask", "distributed", "softkd", "soft_students"),
}


class CodeRun(BaseException):
    """Raised where a file made a loader do what only code does; no loader can swallow it."""


class Guard:
    """Watches what happens between `enter` and `leave`.

    Parameters
    ----------
    writable : str
        The folder in which files may be written.
    """

    def __init__(self, writable: str) -> None:
        self._active = False
        self._writable = writable
        loaded = {name.partition(".")[0] for name in sys.modules}
        self._known = loaded | sys.stdlib_module_names | _OPTIONAL
        paths = sysconfig.get_paths()
        self._installed = tuple({paths["stdlib"], paths["purelib"], paths["platlib"], os.getcwd()})
        self.broken: str | None = None
        sys.addaudithook(self._audit)

    def enter(self) -> None:
        self.broken, self._active = None, True

    def leave(self) -> str | None:
        """Return the first forbidden event since `enter`."""
        self._active = False
        return self.broken

    def _audit(self, event: str, args: tuple) -> None:
        if self._active and self._is_forbidden(event, args):
            self._active = False  # what reports it may do all this
            self.broken = f"{event}{args!r:.200}"
            raise CodeRun(self.broken)

    def _is_forbidden(self, event: str, args: tuple) -> bool:
        if event == "import":
            return args[0].partition(".")[0] not in self._known
        if event == "exec":
            # A module of an installed package that is imported late is none of the file's code.
            return not args[0].co_filename.startswith((*self._installed, "<frozen "))
        if event == "open":
            path, mode, flags = args
            if isinstance(path, int):  # of a file that is open already
                return False
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if mode is None else (
                set("wax+") & set(mode)
            )  # fmt: skip
            return bool(writes) and not str(path).startswith((self._writable, "/dev/null"))
        if event in ("os.chmod", "os.remove", "os.rename"):  # how files are written whole
            paths = [path for path in args if not isinstance(path, int)]
            return not all(str(path).startswith(self._writable) for path in paths)
        return event.startswith(_FORBIDDEN)


def resident_bytes(pid: int | str = "self") -> int:
    """Return the memory that a process holds."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def cpu_seconds(pid: int) -> float:
    """Return the time of a processor that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
