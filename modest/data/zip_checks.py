"""Reject zips that are hostile or implausible, before any of their members is read."""

import pathlib
import stat
import zipfile

from modest.errors import InputError

MAX_MEMBERS = 5_000_000
MAX_MEMBER_BYTES = 2**28
MAX_RATIO = 200  # unpacked size / packed size of a large member; a picture hardly shrinks in a zip
LARGE_BYTES = 2**26  # less is harmless, and an empty mask may shrink to nothing


def check_members(path: pathlib.Path, members: list[zipfile.ZipInfo]) -> None:
    """Check that every member of the zip at `path` is a plain file of plausible size.

    Raises:
      InputError: there are too many members; or a member leads out of the archive, is a link or a
        device, is encrypted, occurs twice, unpacks to an implausible size, or shares bytes with
        another member.
    """
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{path}: {len(members)} members; at most {MAX_MEMBERS} are read")
    names = set()
    for member in members:
        mistake = _mistake(member)
        if not mistake and name(member) in names:
            mistake = "occurs twice"
        if not mistake and _is_implausibly_large(member):
            mistake = (
                f"unpacks to {member.file_size} bytes from {member.compress_size}; "
                f"at most {MAX_MEMBER_BYTES} are read, or {MAX_RATIO} times as many"
            )
        if mistake:
            raise InputError(f"{path}: member {member.filename!r} {mistake}")
        names.add(name(member))
    _check_overlaps(path, members)


def name(member: zipfile.ZipInfo) -> str:
    """Return the name of a member with slashes between folders, in Unicode.

    Some programs on Windows write backslashes, and some on macOS write UTF-8 without saying so.
    """
    text = member.filename
    if not member.flag_bits & 0x800:  # the name is not marked as UTF-8
        try:
            text = text.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return text.replace("\\", "/")


def _mistake(member):
    """Return what is wrong with the name, the type or the flags of a member, or an empty string."""
    name, file_type = member.filename, stat.S_IFMT(member.external_attr >> 16)
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        return "leads out of the archive"
    if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 1:
        return "is encrypted"
    return ""


def _is_implausibly_large(member):
    if member.file_size <= LARGE_BYTES:
        return False
    return member.file_size > min(MAX_MEMBER_BYTES, MAX_RATIO * member.compress_size)


def _check_overlaps(path, members):
    """Reject members that share bytes of the archive, as some zip bombs do."""
    end, before = 0, ""
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < end:
            raise InputError(f"{path}: members {before!r} and {member.filename!r} overlap")
        end, before = member.header_offset + member.compress_size, member.filename
