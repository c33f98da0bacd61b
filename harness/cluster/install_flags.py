"""The `installFlags` of a host in k0sctl.yaml: what k0sctl takes from them, and what k0s is given.

An item is `--flag`, `--flag=value` or `--flag value`, any part of it in a shell's quotes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_COMPONENTS = "--disable-components"


class InstallFlags:
    """The items as they stand in the file, up to a later one that names the same flag."""

    def __init__(self, items: Sequence[str]) -> None:
        self._items = items

    def says(self, flag: str) -> bool:
        """Return whether the flag is there, with any value but `false`."""
        return bool(self._item(flag)) and self.value(flag) != "false"

    def value(self, flag: str) -> str:
        """Return the flag's value within its own item, nothing where it has none."""
        _, value = _parted(_unquoted(self._item(flag)))
        return value or ""

    def last_value(self, flag: str) -> str:
        """Return the flag's value in the last of its items that k0sctl looks at.

        It takes the first, and removes it, as often as it sets its defaults; one without a value
        stays, and hides the others.
        """
        found = ""
        for item in self._items:
            if _is(item, flag):
                _, value = _parted(_unquoted(item))
                if not value:
                    break
                found = value
        return found

    @property
    def disabled_components(self) -> frozenset[str]:
        """The components that k0s is told to leave out, however often and in whatever form."""
        words = self._words()
        found: set[str] = set()
        for word in words:
            flag, value = _parted(word)
            if flag == _COMPONENTS:
                # Without a value of its own the next word is it.
                listed = next(words, "") if value is None else value
                found |= {name.strip('" ') for name in listed.split(",")}
        return frozenset(found - {""})

    def unbalanced(self) -> Iterator[int]:
        """Yield the numbers of the items whose quotes have no second one."""
        for number, item in enumerate(self._items):
            marks = [
                sign
                for before, sign in zip(f" {item}", item, strict=False)
                if sign in "'\"" and before != "\\"
            ]
            if any(marks.count(sign) % 2 for sign in "'\""):
                yield number

    def _item(self, flag: str) -> str:
        """Return the first item of the flag, nothing where there is none."""
        return next((item for item in self._items if _is(item, flag)), "")

    def _words(self) -> Iterator[str]:
        """Yield the words of the command line that k0sctl makes of the items."""
        for item in self._items:
            flag, value = _parted(item)
            if value is None:
                yield flag
            else:
                yield f"{flag}={_unquoted(value)}"


def _is(item: str, flag: str) -> bool:
    return item == flag or item.startswith((f"{flag}=", f"{flag} "))


def _parted(item: str) -> tuple[str, str | None]:
    """Return a flag and its value behind the first `=` or blank, None where neither is there."""
    ends = [end for end in (item.find("="), item.find(" ")) if end >= 0]
    if not ends:
        return item, None
    return item[: min(ends)], item[min(ends) + 1 :]


def _unquoted(text: str) -> str:
    """Return what a shell makes of the quotes in `text`, or `text` where they do not match."""
    found = []
    quote = ""
    signs = iter(range(len(text)))
    for at in signs:
        sign = text[at]
        if sign == "\\" and quote != "'":
            follows = text[at + 1 : at + 2]
            if not follows:
                return text
            if follows in '\\" \t\n' or (follows == "'" and not quote):
                found.append(follows)
                next(signs)
                continue
            found.append(sign)
        elif sign in "'\"" and quote in {"", sign}:
            quote = "" if quote else sign
        else:
            found.append(sign)
    return text if quote else "".join(found)
