"""Runs with the interpreter of a package in its work environment: which modules its commands reach, and whether the commands import.

    python -I imports.py OUT TARGET...        a start script, or module:NAME for `python -m NAME`; the answer is JSON in the file OUT
    python -I imports.py --import OUT TARGET  imports one target, as its start does, without running it

Modules are found by the import system's own finders and read by `ast`; nothing but `--import` runs code of the package.
"""
import ast
import json
import os
import subprocess
import sys
import sysconfig
import traceback

LIMIT_SECONDS = 120
STDLIB = os.path.dirname(os.path.abspath(os.__file__))
OWN = sysconfig.get_path("purelib")
# Standard modules of other systems, asked for behind conditions that only a run can decide.
FOREIGN = {"msvcrt", "winreg", "_winreg", "_winapi", "nt", "winsound", "_scproxy", "_overlapped"}
FAILURES = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class Module:
    def __init__(self, name, file=None, folders=None):
        self.name, self.file, self.folders = name, file, folders


# What is made while its parent runs, such as six.moves: only a real import can tell.
DYNAMIC = Module("?")
found = {}


def find(name):
    """The module, None when there is none, DYNAMIC when its parent is no plain package."""
    if name not in found:
        found[name] = search(name)
    return found[name]


def search(name):
    parent, _, _ = name.rpartition(".")
    folders = None
    if parent:
        above = find(parent)
        if above is None or above is DYNAMIC:
            return above
        if above.folders is None or makes_modules(above):
            folders = above.folders or []
            return locate(name, folders) or DYNAMIC
        folders = above.folders
    return locate(name, folders)


def locate(name, folders):
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, folders)
        except Exception:
            continue
        if spec is not None:
            places = spec.submodule_search_locations
            return Module(name, spec.origin, None if places is None else list(places))
    return None


def makes_modules(module):
    text = source_of(module)
    return text is not None and any(word in text for word in (b"sys.modules", b"__path__", b"__getattr__"))


def source_of(module):
    if module.file is None or not module.file.endswith(".py"):
        return None
    try:
        with open(module.file, "rb") as file:
            return file.read()
    except OSError:
        return None


def is_standard(module):
    file = module.file or ""
    return file in ("built-in", "frozen") or (
        file.startswith(STDLIB + os.sep) and "site-packages" not in file
    )


class Imports(ast.NodeVisitor):
    """Every import of a module as (name, kind, line): hard = its own import runs it, soft = guarded, late = in a function."""

    def __init__(self, package):
        self.package, self.all, self.soft, self.late = package, [], 0, 0

    def add(self, name, node):
        kind = "soft" if self.soft else "late" if self.late else "hard"
        self.all.append((name, kind, node.lineno))

    def visit_Import(self, node):
        for alias in node.names:
            self.add(alias.name, node)

    def visit_ImportFrom(self, node):
        base = node.module or ""
        if node.level:
            parts = self.package.split(".") if self.package else []
            if node.level > len(parts):
                return
            above = parts[: len(parts) - node.level + 1]
            base = ".".join(above + ([base] if base else []))
        self.add(base, node)
        package = find(base)
        if package is None or package is DYNAMIC or package.folders is None:
            return
        for alias in node.names:
            inner = base + "." + alias.name
            # Anything else is an attribute, which only a real import can tell.
            if alias.name != "*" and find(inner) not in (None, DYNAMIC):
                self.add(inner, node)

    def visit_Call(self, node):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        first = node.args[0] if node.args else None
        if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
            if isinstance(first.value, str) and first.value.replace(".", "").isidentifier():
                self.soft += 1
                self.add(first.value, node)
                self.soft -= 1
        self.generic_visit(node)

    def inside(self, field, nodes):
        setattr(self, field, getattr(self, field) + 1)
        for node in nodes:
            self.visit(node)
        setattr(self, field, getattr(self, field) - 1)

    def visit_FunctionDef(self, node):
        self.inside("late", node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node):
        answer = decide(node.test)
        if answer is None:
            self.inside("soft", node.body + node.orelse)
        else:
            for part in node.body if answer else node.orelse:
                self.visit(part)

    def visit_Try(self, node):
        guarded = any(catches(handler.type) for handler in node.handlers)
        if not guarded:
            return self.generic_visit(node)
        self.inside("soft", node.body + node.handlers + node.orelse)
        for part in node.finalbody:
            self.visit(part)

    visit_TryStar = visit_Try

    def visit_With(self, node):
        calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
        names = [getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls]
        if "suppress" in names:
            self.inside("soft", node.body)
        else:
            self.generic_visit(node)


def catches(kind):
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(catches(one) for one in kind.elts)
    return getattr(kind, "attr", getattr(kind, "id", "")) in FAILURES


PLAIN = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Attribute, ast.Name, ast.Constant, ast.Tuple, ast.Subscript)
PLAIN += (ast.Slice, ast.Call, ast.cmpop, ast.boolop, ast.unaryop, ast.expr_context)


def decide(test):
    """What a condition about the system says here; None for every other condition."""
    if getattr(test, "attr", getattr(test, "id", "")) == "TYPE_CHECKING":
        return False
    left = getattr(test, "left", None)
    if isinstance(left, ast.Name) and left.id == "__name__":
        return False
    for node in ast.walk(test):
        if not isinstance(node, PLAIN):
            return None
        if isinstance(node, ast.Name) and node.id not in ("sys", "os"):
            return None
        if isinstance(node, ast.Attribute) and node.attr not in ("platform", "version_info", "name", "startswith", "major", "minor"):
            return None
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") != "startswith":
            return None
    try:
        return bool(eval(compile(ast.Expression(test), "?", "eval"), {"sys": sys, "os": os, "__builtins__": {}}))
    except Exception:
        return None


def imports_of(module):
    text = source_of(module)
    if text is None:
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    package = module.name if module.folders is not None else module.name.rpartition(".")[0]
    reader = Imports(package)
    try:
        reader.visit(tree)
    except RecursionError:
        return []
    return reader.all


def scan(targets):
    """Follows what starting runs first, then everything else that is reached."""
    missing, seen = {}, {}
    queue = [(root(target), "start") for target in targets]
    later = []
    while queue or later:
        module, level = queue.pop() if queue else later.pop()
        if module.name in seen or is_standard(module):
            continue
        seen[module.name] = module
        for name, kind, line in imports_of(module):
            parts = name.split(".")
            for i in range(len(parts)):
                part = ".".join(parts[: i + 1])
                target = find(part)
                if target is DYNAMIC:
                    break
                if target is None:
                    if part in FOREIGN:
                        break
                    own = (module.file or "").startswith(OWN + os.sep) or module.name.startswith("command ")
                    row = dict(name=part, by=module.name, line=line, kind=kind, level=level, own=own)
                    missing.setdefault((part, module.name, kind), row)
                    break
                here = level if kind == "hard" else "later"
                (queue if here == "start" else later).append((target, here))
    return len(seen), list(missing.values())


def root(target):
    if target.startswith("module:"):
        module = find(target[7:] + ".__main__") or find(target[7:])
        return module if module not in (None, DYNAMIC) else Module("command " + target)
    name = "command " + os.path.basename(target)
    return Module(name, target if target.endswith(".py") else readable(target))


def readable(path):
    # Start scripts have no ending; source_of reads files that end like Python.
    folder = os.path.dirname(sys.argv[1])
    copy = os.path.join(folder, os.path.basename(path) + ".py")
    with open(path, "rb") as source, open(copy, "wb") as file:
        file.write(source.read())
    return copy


def import_one(out, target):
    import runpy

    answer = {"error": None}
    try:
        if target.startswith("module:"):
            import importlib

            importlib.import_module(target[7:])
        else:
            names = runpy.run_path(target, run_name="__sealift_check__")
            for chain in called(target):
                value = names[chain[0]]
                for name in chain[1:]:
                    value = getattr(value, name)
                if not callable(value):
                    raise TypeError("%s is not callable" % ".".join(chain))
    except BaseException as error:
        last = traceback.format_exception_only(type(error), error)[-1].strip()
        answer = {"error": last[:500]}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(answer, file)


def called(script):
    """What a start script of ours calls: sys.exit(a.b())."""
    with open(script, "rb") as file:
        tree = ast.parse(file.read())
    chains = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "exit" and node.args:
            inner = node.args[0]
            if isinstance(inner, ast.Call):
                chain, at = [], inner.func
                while isinstance(at, ast.Attribute):
                    chain.insert(0, at.attr)
                    at = at.value
                if isinstance(at, ast.Name):
                    chains.append([at.id] + chain)
    return chains


def try_import(target, out):
    flags = ["-I"] + ["-" + "O" * sys.flags.optimize] * bool(sys.flags.optimize)
    command = [sys.executable] + flags + [os.path.abspath(__file__), "--import", out, target]
    if os.path.exists(out):
        os.unlink(out)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return "it did not end within %d s" % LIMIT_SECONDS
    try:
        with open(out, encoding="utf-8") as file:
            return json.load(file)["error"]
    except (OSError, ValueError):
        if done.returncode < 0:
            return "it was ended by signal %d" % -done.returncode
        return "it ended the interpreter with %d" % done.returncode


def main(out, targets):
    modules, missing = scan(targets)
    errors = {target: try_import(target, out + ".one") for target in targets}
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"modules": modules, "missing": missing, "errors": errors}, file)


if sys.argv[1] == "--import":
    import_one(sys.argv[2], sys.argv[3])
else:
    main(sys.argv[1], sys.argv[2:])
