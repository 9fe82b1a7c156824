"""The scan for personal data: planted strings are found, clean texts are left alone, and nothing is shown whole."""

import pytest

from labeling.privacy import Personal, masked, scan, scan_rows, summary, told

MAILS = [
    "anna.schmidt@web.de", "j_doe+news@mail.acme-corp.co.uk", "x@y.io", "Maria.Garcia99@gmail.com", "ceo@startup.dev",
    "first.last@sub.uni-koeln.de", "o'connor@firm.ie", "a.b-c%d@host.museum", "info@xn--bcher-kva.ch", "WILL@CAPS.COM",
]  # fmt: skip
PHONES = [
    "+1 212 736 5000", "+44 20 7946 0018", "+49 30 901820", "+33 1 42 68 53 00", "(212) 736-5000", "212-736-5000",
    "020 7219 3000", "01 42 68 53 00", "+81 3-3211-1111", "0049 30 901820", "+91 98765 43210", "+61 2 9374 4000",
    "030 901820", "212.736.5000", "+1 (415) 273-9164",
]  # fmt: skip
CARDS = [
    "4111 1111 1111 1111",
    "4012888888881881",
    "5555-5555-5555-4444",
    "378282246310005",
    "6011 0009 9013 9424",
]
ACCOUNTS = ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "FR14 2004 1010 0505 0001 3M02 606",
            "NL91ABNA0417164300"]  # fmt: skip
KEYS = [
    "sk-" + "abcdEFGH1234" * 4, "sk-proj-" + "Zz09_-" * 8, "sk-ant-api03-" + "q1W2e3" * 8, "AKIA" + "IOSFODNN7ABCDEFG",
    "ASIA" + "Y34FZKBOKMUTVV7A", "ghp_" + "a1B2" * 9, "github_pat_" + "11ABCDE0" * 6, "hf_" + "AbCd" * 9,
    "xoxb-" + "1234567890-abcdef", "AIza" + "SyA1234567" * 3 + "abcde", "sk_live_" + "4eC39HqLyjWDarjt",
    "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "-----BEGIN RSA PRIVATE" + " KEY-----", "-----BEGIN" + " PRIVATE KEY-----", "glpat-" + "x1Y2z3A4b5C6d7E8f9G0",
    "gho_" + "16C7e42F292c6912E7710c838347Ae178B4a",
]  # fmt: skip
PLANTED = [
    *((Personal.MAIL, s) for s in MAILS), *((Personal.PHONE, s) for s in PHONES), *((Personal.CARD, s) for s in CARDS),
    *((Personal.ACCOUNT, s) for s in ACCOUNTS), *((Personal.KEY, s) for s in KEYS),
]  # fmt: skip
SENTENCES = ("My contact is {}, thank you.", "{}", "Use `{}` for now", "Reach me:\n{}\nany time", "(see {})")


def test_planted_strings_are_found_and_named():
    assert len(PLANTED) == 50
    missed = [
        (kind, secret)
        for i, (kind, secret) in enumerate(PLANTED)
        if kind not in {f.kind for f in scan(SENTENCES[i % len(SENTENCES)].format(secret))}
    ]
    assert len(missed) <= 5, missed


@pytest.mark.parametrize(
    "clean",
    [
        "Pi is 3.14159265358979 and e is 2.718281828459045.",
        "In 1994-2001 it grew from 1,234,567,890 to 9,876,543,210 units (12.5 %).",
        "Write to user@example.com or admin@mail.example.org, or to me@host.test.",
        "ISBN 978-3-16-148410-0, DOI 10.1000/182, RFC 2606, version 6.31.0-rc1",
        "for i in range(1000000000): x[i] = 0xdeadbeef0123456789",
        "a41112b378282246310005c4012888888881881d",
        "2026-11-21T09:20:00.123Z, timestamp 1700000000, id 3f2a9c1d4b5e6f708192a3b4c5d6e7f8",
        "192.168.100.200 and 10.0.0.1:8080; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "decorators such as @property and @pytest.mark.slow; npm install @scope/package@1.2.3",
        "The populations are 331 449 281 and 67 215 293 and 83 149 300.",
        "sk-learn is a library; hf_hub is another; ghp_ is a prefix; AKIA too.",
        "1000 2000 3000 4000 5000 = 15000; 0000 0000 0000 0000",
        "2 + 2 = 4, 100-200-300, 12/11/2024, 10:30-11:45, $1,299.99, 50-60%",
    ],
)
def test_clean_texts_are_left_alone(clean):
    assert scan(clean) == []


def test_nothing_is_shown_whole():
    for _, secret in PLANTED:
        assert all(secret not in f.masked and len(f.masked) <= 6 for f in scan(secret))
    assert (masked("abcdefg"), masked("abcdef")) == ("abc...", "...")


def test_places_are_named_by_split_row_and_column():
    said = [{"role": "user", "content": f"mail {MAILS[0]} or {MAILS[0]}"}]
    rows = [("train", {"prompt": said, "id": MAILS[1]}), ("train", {"prompt": "x", "id": ""}),
            ("test", {"prompt": [{"role": "user", "content": f"ring {PHONES[0]}"}], "id": ""})]  # fmt: skip
    places = scan_rows(rows, frozenset({"id"}))
    assert [str(p) for p in places] == [
        "train row 1, prompt: mail address ann...", "train row 1, prompt: mail address ann...",
        "test row 1, prompt: phone number +1 ..."]  # fmt: skip
    assert summary(places) == {"mail address": 2, "phone number": 1}
    assert told(summary(places)) == "2 mail addresses, 1 phone number"
