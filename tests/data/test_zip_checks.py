"""Members of a zip that are refused by what its directory says of them."""

import pathlib
import zipfile

import pytest

from modest.data import zip_checks
from modest.errors import InputError


def member(name, offset):
    """Return a member whose header and 100 bytes of content begin at `offset`."""
    found = zipfile.ZipInfo(name)
    found.header_offset, found.compress_size = offset, 100
    return found


def check(*members):
    zip_checks.check_members(pathlib.Path("set.zip"), list(members))


def test_adjacent_members_are_accepted_in_any_order():
    check(member("a.png", 100), member("b.png", 0))


def test_encrypted_member_is_refused():
    encrypted = member("b.png", 150)
    encrypted.flag_bits |= 1
    with pytest.raises(InputError, match=r"set\.zip: member 'b\.png' is encrypted"):
        check(member("a.png", 0), encrypted)


@pytest.mark.parametrize("offset", [0, 99])
def test_members_that_share_bytes_are_refused(offset):
    with pytest.raises(InputError, match=r"set\.zip: members 'a\.png' and 'b\.png' overlap"):
        check(member("a.png", 0), member("c.png", 250), member("b.png", offset))
