"""One page a student and one page a method, from the two catalogues."""

from __future__ import annotations

from typing import Any

from public_names import PublicName
from rst import code, documented_class, heading, link, table, toctree

from soft_students.methods import Method
from soft_students.methods import available as available_methods
from soft_students.students import StudentEntry
from soft_students.students import available as available_students

_IMAGES = ((28, 28), 60_000)
_SITES = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
_NEEDS = {
    "teacher": "the logits of a teacher of any kind",
    "network": "a teacher that is a PyTorch module, whose layers it looks at",
    "labels": "labels",
    "data": "training rows",
    "images": "inputs of height and width",
    "distortions": "distorted images (``augment=``)",
}


def student_pages(names: dict[str, PublicName]) -> dict[str, str]:
    """Return the pages of students by file, those of other packages left out."""
    entries = {
        key: entry
        for key, entry in available_students().items()
        if entry.classifier.__module__.startswith("soft_students.")
    }
    pages = {f"students/{key}.rst": _student(entry, names) for key, entry in entries.items()}
    rows = [[f":doc:`{key}`", entry.summary] for key, entry in entries.items()]
    pages["students/index.rst"] = "\n".join(
        [
            heading("Students"),
            "All have ``fit(X, teacher)``; the teacher may be replaced by its probabilities or by "
            "labels. ``softkd students`` lists them, those of other packages included. How they "
            "learn soft targets, and what is common to them, is in :doc:`/students`; what each "
            "gains from soft targets on real data in :doc:`/classical_students`.\n",
            table(["Student", "Good for"], rows),
            toctree(entries, "hidden"),
        ]
    )
    return pages


def method_pages(names: dict[str, PublicName]) -> dict[str, str]:
    """Return the pages of methods by file."""
    methods = available_methods()
    pages = {f"methods/{key}.rst": _method(method, names) for key, method in methods.items()}
    rows = [
        [f":doc:`{key}`", method.title, f"{method.paper.authors} {method.paper.year}"]
        for key, method in methods.items()
    ]
    pages["methods/index.rst"] = "\n".join(
        [
            heading("Methods"),
            'How a neural student learns: ``NeuralStudentClassifier(method="rkd,kd")``. '
            ":doc:`/methods` says how they are combined, :doc:`/methods_results` what each brings "
            "on 1,000 images.\n",
            table(["Method", "Name", "Paper"], rows),
            toctree(methods, "hidden"),
        ]
    )
    return pages


def _student(entry: StudentEntry, names: dict[str, PublicName]) -> str:
    parts = [heading(entry.name), entry.summary + "\n"]
    if entry.extra:
        parts.append(f"Needs ``pip install 'soft-students[{entry.extra}]'``.\n")
    first = names[entry.class_names[0]]
    usage = f"from soft_students import {first.short}\n\n"
    usage += f"student = {first.short}().fit(X, teacher)"
    parts.append(code(usage, "python"))
    parts.append(code(f"softkd distill --teacher t.pt --student {entry.name}", "sh"))
    settings = entry.image_settings(*_IMAGES)
    if settings:
        listed = ",\n".join(f"{name}={value!r}" for name, value in settings.items())
        parts.append("For images ``softkd distill`` sets; here for 60,000 of 28 x 28 pixels:\n")
        parts.append(code(listed, "python"))
    for name in entry.class_names:
        parts.append(heading(name, "-"))
        parts.append(_document(names[name]))
    return "\n".join(parts)


def _method(method: type[Method], names: dict[str, PublicName]) -> str:
    paper = method.paper
    kind, _, number = paper.link.partition(":")
    where = f"`{paper.link} <{_SITES[kind]}{number}>`__" if kind in _SITES else paper.link
    needs = [_NEEDS[need] for need in _NEEDS if need in method.needs]
    if "data" not in method.needs:
        needs.append("no training rows")
    parts = [heading(f"{method.key}: {method.title}")]
    fields: dict[str, Any] = {
        "Paper": f"{paper.authors} ({paper.year}), *{paper.title}*, {paper.venue}, {where}",
        "Needs": "; ".join(needs),
    }
    parts.append("\n".join(f":{name}: {value}" for name, value in fields.items()) + "\n")
    usage = "from soft_students import NeuralStudentClassifier\n\n"
    usage += f'student = NeuralStudentClassifier("small_cnn", method="{method.key}")\n'
    given = "None, teacher" if "data" not in method.needs else "X, teacher, labels=y"
    usage += f"student.fit({given})"
    parts.append(code(usage, "python"))
    shell = (
        f"softkd distill --teacher t.pt --student neural --module small_cnn --method {method.key}"
    )
    parts.append(code(shell, "sh"))
    parts.append(_document(names[method.__name__]))
    losses = [
        name
        for name in names.values()
        if name.source == method.__module__ and name.value is not method and name.is_function
    ]
    if losses:
        parts.append(heading("Functions", "-"))
        parts.append("For training loops of one's own.\n")
        parts += [_document(name) for name in losses]
    return "\n".join(parts)


def _document(name: PublicName) -> str:
    """Return the directive that documents a name, or a link where a page before this one has it."""
    if name.is_elsewhere:
        return f"See {link(name)}.\n"
    name.is_elsewhere = True
    if name.is_class:
        return documented_class(name.path, name.value)
    return f".. autofunction:: {name.path}\n"
