"""Moves the modules of the house to their rooms: git mv, imports, names bound by imports, dotted and slashed mentions.

Run from the top of the checkout: python move.py moves.txt [SUBSET-PREFIX]. It can be run again: what has moved is skipped.
"""
from __future__ import annotations
import ast, re, subprocess, sys
from pathlib import Path

rows = [line.split() for line in Path(sys.argv[1]).read_text().splitlines() if line.strip()]
def dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
MODULES = {dotted(a): dotted(b) for a, b in rows if a.endswith(".py") and dotted(a) != dotted(b)}
MODULES |= {"jobs.cli": "cli", "jobs.report": "reporting.night_report"}
for a, b in rows:
    if Path(a).exists() and not Path(b).exists():
        Path(b).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "mv", a, b], check=True)
LONGEST = sorted(MODULES, key=len, reverse=True)
DOTTED = re.compile(r"(?<![\w./])(" + "|".join(re.escape(m) for m in LONGEST) + r")(?![\w])")
PATHS = sorted(((a, b) for a, b in rows), key=lambda r: -len(r[0]))
SLASHED = re.compile(r"(?<!\w)(" + "|".join(re.escape(a) for a, _ in PATHS) + r")(?!\w)")
PATH_OF = dict(PATHS)

def split_package_imports(text: str, path: Path) -> str:
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    edits = []  # (start line, end line, indent, replacement)
    rename: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            moved = {}
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                new = MODULES.get(full)
                if new:
                    moved[alias.name] = new
            if not moved:
                continue
            out = []
            kept = [a for a in node.names if a.name not in moved]
            if kept:
                out.append(f"from {node.module} import " + ", ".join(a.name + (f" as {a.asname}" if a.asname else "") for a in kept))
            for a in node.names:
                if a.name in moved:
                    package, _, name = moved[a.name].rpartition(".")
                    bound = a.asname or a.name
                    stem = f"from {package} import {name}" if package else f"import {name}"
                    if a.asname and a.asname != name:
                        out.append(f"{stem} as {a.asname}")
                    else:
                        out.append(stem)
                        if name != bound:
                            rename[bound] = name
            indent = " " * node.col_offset
            edits.append((node.lineno, node.end_lineno, indent, out))
    # local bindings that hinder a rename
    bound_elsewhere = set()
    taken = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            taken.add(node.id)
            if isinstance(node.ctx, ast.Store) and node.id in rename:
                bound_elsewhere.add(node.id)
        elif isinstance(node, ast.arg):
            taken.add(node.arg)
            if node.arg in rename: bound_elsewhere.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            taken.add(node.name)
            if node.name in rename: bound_elsewhere.add(node.name)
        elif isinstance(node, ast.alias):
            taken.add(node.asname or node.name)
    hard = {old for old, new in rename.items() if old in bound_elsewhere or new in taken}
    if hard:
        print("HARD", path, {h: rename[h] for h in hard})
    spots = sorted(((n.lineno, n.col_offset, n.id) for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in rename and n.id not in hard), reverse=True)
    raw = [line.encode() for line in lines]
    for line, col, name in spots:
        b = raw[line - 1]
        raw[line - 1] = b[:col] + rename[name].encode() + b[col + len(name.encode()):]
    lines = [b.decode() for b in raw]
    for start, end, indent, out in sorted(edits, reverse=True):
        fixed = []
        for stem in out:
            m = re.fullmatch(r"from (\S+) import (\w+)", stem)
            for old in hard:
                if m and rename[old] == m.group(2) and f"{m.group(1)}.{m.group(2)}" in MODULES.values():
                    stem = f"{stem} as {old}"
                    break
            fixed.append(indent + stem + "\n")
        lines[start - 1 : end] = fixed
    return "".join(lines)

names = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
SUFFIXES = {".py", ".md", ".yml", ".toml", ".json", ".ipynb", ".in", ".j2", ""}
for name in names:
    path = Path(name)
    if not path.is_file() or path.suffix not in SUFFIXES or name.endswith(".lock"):
        continue
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        continue
    new = text
    if path.suffix == ".py":
        new = split_package_imports(new, path)
    new = SLASHED.sub(lambda m: PATH_OF[m.group(1)], new)
    new = DOTTED.sub(lambda m: MODULES[m.group(1)], new)
    new = re.sub(r"(python3? -m) jobs\b(?!\.)", r"\1 cli", new)
    new = re.sub(r'("-m", )"jobs"', r'\1"cli"', new)
    if new != text:
        path.write_text(new, encoding="utf-8")
