"""What the docs site is made of besides the files in this folder; mkdocs calls these functions.

The reference is made of the public names, the benchmarks, the changelog and the guide for
contributors of the files that stand in the repository, so that each is written once. Links between
the files of the repository are turned into links between the pages of the site.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent

# File of the repository -> page of the site.
TAKEN_OVER = {
    "benchmarks/RESULTS.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
}

# Page -> title, what it says, and the packages whose public names it has.
REFERENCE = {
    "learner": ("Learners", "What trains a model, and asks it.", "learner vision folding"),
    "data": ("Data", "From files to batches.", "data"),
    "augmentation": ("Augmentation", "Movements, light, mixtures.", "augment render"),
    "models": ("Models", "Bodies, heads and groups of layers.", "models"),
    "train": ("Losses, metrics, optimizers", "What a fit is told to do.", "train"),
    "callbacks": ("Callbacks", "What takes part in a fit.", "callbacks"),
    "interpret": ("Interpretation", "Where a model errs, and why.", "interpret insight history"),
    "deploy": ("Model files", "Files to keep and to share.", "deploy"),
    "basics": ("Basics", "Lists, paths, tensors, pictures on the screen.", "core show tensors"),
}
ZOO = "presize.models.zoo"
LINK = re.compile(r"(\]\()(?![a-z]+:|#|/)([^)#\s]+)")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def public_names() -> dict[str, str]:
    """Return name -> home module of all that notebooks and programs may import."""
    names = {}
    for node in ast.parse(_source("vision/all.py")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("presize."):
            names.update({alias.asname or alias.name: str(node.module) for alias in node.names})
    for node in ast.parse(_source("__init__.py")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES":
            names.update(ast.literal_eval(node.value))
    return names


def is_ours(home: str, name: str) -> bool:
    """Return True if the name is defined in presize, and False if it is another library's."""
    path = home.removeprefix("presize.").replace(".", "/")
    package = (ROOT / "src/presize" / path).is_dir()
    body = ast.parse(_source(f"{path}/__init__.py" if package else f"{path}.py")).body
    for node in [*body, *(n for outer in body if isinstance(outer, ast.If) for n in outer.body)]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    module = str(getattr(node, "module", ""))
                    return module.startswith("presize.") and is_ours(module, alias.name)
    return True


def page_of(home: str) -> str:
    """Return the page of the reference that names of a module are on."""
    package = home.split(".")[1]
    for page, (_, _, packages) in REFERENCE.items():
        if package in packages.split():
            return page
    return "basics"


def reference_pages() -> Iterator[tuple[str, str]]:
    """Make (path, text) of each page of the reference."""
    names = public_names()
    rows = []
    for page, (title, about, _) in REFERENCE.items():
        here = {n: h for n, h in names.items() if page_of(h) == page}
        parts = [f"# {title}", about]
        if page == "models":
            parts += _zoo([n for n, h in here.items() if h == ZOO])
        listed = sorted((n for n in here if here[n] != ZOO), key=str.casefold)
        ours = [n for n in listed if is_ours(here[n], n)]
        for home in sorted({here[n] for n in ours}):
            parts.append(f"## `{home}`")
            parts += [f"::: {home}.{n}" for n in ours if here[n] == home]
        if others := [f"`{n}`" for n in listed if n not in ours]:
            parts += ["## From other libraries", ", ".join(others) + "."]
        yield f"reference/{page}.md", "\n\n".join(parts) + "\n"
        links = ", ".join(f"[`{n}`][{here[n]}.{n}]" for n in ours)
        rows.append(f"**[{title}]({page}.md)**: {links}.")
    intro = (
        "# Reference\n\nEvery public name. `from presize.vision.all import *` brings them all; "
        "programs import what they need from its module: `from presize.learner import Learner`."
    )
    yield "reference/index.md", "\n\n".join([intro, *rows]) + "\n"


def _zoo(archs: list[str]) -> list[str]:
    """List the architectures: functions that differ by nothing but their name."""
    return [
        "## Architectures",
        "Functions of torchvision, to give to `vision_learner`; every other one of torchvision "
        "and timm goes by its name, `vision_learner(dls, 'convnext_tiny')`.",
        ", ".join(f"`{name}`" for name in archs) + ".",
        "## Functions",
    ]


def _source(path: str) -> str:
    return (ROOT / "src/presize" / path).read_text(encoding="utf-8")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made, not written."""
    made = dict(reference_pages())
    for source, page in TAKEN_OVER.items():
        if page != "index.md":
            made[page] = (ROOT / source).read_text(encoding="utf-8")
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links to files of the repository to the pages that these have become."""
    path = page.file.src_uri
    of_page = {v: k for k, v in TAKEN_OVER.items()}
    if path in of_page and path != "index.md":
        place = of_page[path]
    else:
        place = f"docs/{path}"

    def turned(found: re.Match[str]) -> str:
        target = normpath(f"{place}/../{found[2]}")
        there = TAKEN_OVER.get(target) or target.removeprefix("docs/")
        if target not in TAKEN_OVER and not target.startswith("docs/"):
            return found[0]  # mkdocs --strict names it
        return found[1] + relpath(there, f"{path}/..")

    pieces = FENCE.split(markdown)
    return "".join(p if p.startswith("```") else LINK.sub(turned, p) for p in pieces)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Point links in notebooks to pages; mkdocs does that for Markdown alone."""
    if not page.file.src_uri.endswith(".ipynb"):
        return html
    return re.sub(r'(href="(?![a-z]+:)[^"#]+)\.(?:md|ipynb)(?=["#])', r"\1.html", html)
