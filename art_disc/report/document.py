"""What a record is shown as: sections of parts, drawn as a page, printed as text or Markdown."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Self

from art_disc.core.showing import Shown

Pairs = tuple[tuple[str, str], ...]


class Part:
    """Something to show; `shape` names the macro of the templates that draws it on the page."""

    __slots__ = ()
    shape: ClassVar[str]

    def text(self) -> str:
        """Return it for a terminal; empty for what is of the page alone."""
        return ""

    def markdown(self) -> str:
        """Return it as Markdown."""
        return self.text()


@dataclass(frozen=True, slots=True)
class Paragraph(Shown, Part):
    """Words, under a heading of their own if they have a title; `look`: of the stylesheet."""

    shape: ClassVar[str] = "paragraph"
    words: str
    title: str = ""
    look: str = ""

    def text(self) -> str:
        """Return the words after their title."""
        return f"{self.title}: {self.words}" if self.title else self.words


@dataclass(frozen=True, slots=True)
class Notes(Part):
    """Remarks, one line each."""

    shape: ClassVar[str] = "notes"
    lines: tuple[str, ...]

    def text(self) -> str:
        """Return one line each."""
        return "\n".join(self.lines)

    def markdown(self) -> str:
        """Return a list."""
        return "\n".join(f"- {line}" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Notice(Part):
    """A remark above the numbers; `level` is `alert`, `warning` or `remark`."""

    shape: ClassVar[str] = "notice"
    level: str
    title: str
    words: str

    def text(self) -> str:
        """Return title and words in one line."""
        return f"{self.title} {self.words}"


@dataclass(frozen=True, slots=True)
class Banner(Part):
    """The verdict: `level` is the record's word, `title` the verdict in words."""

    shape: ClassVar[str] = "banner"
    level: str
    symbol: str
    title: str
    words: str

    def text(self) -> str:
        """Return the verdict."""
        return self.title


@dataclass(frozen=True, slots=True)
class Facts(Part):
    """Small tables of names and values side by side, each under its title; of the page alone."""

    shape: ClassVar[str] = "facts"
    groups: tuple[tuple[str, Pairs], ...]


@dataclass(frozen=True, slots=True)
class Section(Shown):
    """Parts under a heading."""

    title: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, title: str, *parts: Part | None) -> Self:
        """Return a section of the parts that there are; a table without rows is none."""
        return cls(title, tuple(part for part in parts if part))

    @property
    def id(self) -> str:
        """The heading's anchor."""
        return self.title.lower().replace(" ", "-")

    @property
    def rows(self) -> Iterable[tuple[bool, tuple[Part, ...]]]:
        """Parts that follow each other, and whether they are plots, which stand side by side."""
        for plots, group in groupby(self.parts, lambda part: part.shape == "drawing"):
            yield plots, tuple(group)


@dataclass(frozen=True, slots=True)
class Document(Shown):
    """Sections under a title and a line of what they are about."""

    title: str
    sub: str
    sections: tuple[Section, ...]

    @classmethod
    def of(cls, title: str, sub: str, *sections: Section) -> Self:
        """Return a document of the sections that hold something."""
        return cls(title, sub, tuple(section for section in sections if section.parts))

    def text(self) -> str:
        """Return it for a terminal."""
        return "\n".join([self.title, *_blocks(part.text() for part in self.parts)])

    def markdown(self) -> str:
        """Return it as Markdown."""
        blocks = _blocks(part.markdown() for part in self.parts)
        return "\n\n".join([f"# {self.title}", *blocks]) + "\n"

    @property
    def parts(self) -> Iterable[Part]:
        """The parts of all sections."""
        return (part for section in self.sections for part in section.parts)


def _blocks(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if text]
