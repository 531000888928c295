"""How many guesses a password withstands, as zxcvbn estimates it (Wheeler, "zxcvbn: low-budget password strength estimation",
USENIX Security 2016).

Its dictionaries are joined by words that people use here: those of the account, of the organisation and of this product, years,
and what calendars and keyboards have in other languages. Two of its matchers are replaced, because a hostile password keeps them
busy for seconds: all its substitutions of one letter count at once, and repeated text is found by one pass.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

JUDGED = 64
"""The characters from the beginning that are judged. A password withstands at least as many guesses as its beginning."""
_SHORTEST_WORD = 3
_PRODUCT = "accord api certdog certificate certificates issuer issuers login pki ssl tls token tokens"
_PEOPLE = """
password passwort kennwort motdepasse contrasena wachtwoord parola senha haslo losenord adgangskode salasana
welcome willkommen bienvenue bienvenido benvenuto welkom changeme letmein secret geheim temporary initial default
spring summer autumn fall winter fruhling fruehling fruhjahr sommer herbst printemps ete automne hiver primavera verano otono
invierno estate autunno inverno lente zomer herfst verao outono
january february march april may june july august september october november december januar februar marz maerz mai juni juli
oktober dezember janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre enero febrero marzo abril mayo
junio julio agosto septiembre octubre noviembre diciembre gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
januari februari maart mei augustus
monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag sonntag
lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miercoles jueves viernes sabado domingo
lunedi martedi mercoledi giovedi venerdi maandag dinsdag woensdag donderdag vrijdag zaterdag zondag
correcthorsebatterystaple thequickbrownfox jumpsoverthelazydog tobeornottobe maytheforcebewithyou winteriscoming openthedoor
iloveyou ichliebedich jetaime tequiero tiamo
"""
"""Words for passwords, seasons, months and weekdays in the languages of Western Europe, without accents; and famous phrases."""
_YEARS = " ".join(str(year) for year in sorted(range(1940, 2060), key=lambda year: abs(year - 2026)))
_DISGUISES = (
    str.maketrans("4@83691!|0$5+7%2({[<", "aabeggiiiossttxzcccc"),
    str.maketrans("4@83691!|0$5+7%2({[<", "aabegglllosstlxzcccc"),
    str.maketrans("!@#$%^&*()", "1234567890"),
)
"""Characters that stand for others: for letters, in two readings, and digits typed with the shift key."""
_LAYOUTS: tuple[dict[int, int], ...] = ({}, str.maketrans("yzYZ", "zyZY"), str.maketrans("aqzwAQZWmM", "qawzQAWZ;:"))
"""From the positions of keys on QWERTY, QWERTZ and AZERTY keyboards to those on QWERTY."""
_SEPARATOR = re.compile(r"[\W_]")
_SEPARATORS = 32
"""As many characters can stand between words; whoever tries words tries each of them, in all places alike."""
_REPEATS = (re.compile(r"(.+?)\1+", re.DOTALL), re.compile(r"(.+)\1+", re.DOTALL))


def guesses(password: str, known: Iterable[str] = ()) -> int:
    """How many guesses a password withstands at least. `known`: texts that an attacker tries first, such as names."""
    dictionaries = {**_dictionaries(), "known": dict.fromkeys(words_of(known), 1)}
    judged = plain(password)[:JUDGED]
    joined = _SEPARATOR.sub("", judged)
    chosen: int = _SEPARATORS ** len(set(_SEPARATOR.findall(judged)))
    return min(_estimate(judged, dictionaries), _estimate(joined, dictionaries) * chosen)


def plain(text: str) -> str:
    """A text without accents, which people leave out and put in."""
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFKC", "".join(part for part in parts if not unicodedata.combining(part)))


def words_of(texts: Iterable[str]) -> set[str]:
    """The words of texts, and the texts as wholes with and without what separates the words."""
    found: set[str] = set()
    for text in texts:
        folded = plain(text).lower()
        parts = re.findall(r"[^\W_]+", folded)
        found.update((folded, "".join(parts), *parts))
    return {word for word in found if len(word) >= _SHORTEST_WORD}


Dictionaries = Mapping[str, Mapping[str, int]]
"""The rank of each word, by the names of dictionaries."""


@cache
def _dictionaries() -> dict[str, dict[str, int]]:
    from zxcvbn import matching

    ours = {"product": _PRODUCT, "people": _PEOPLE, "years": _YEARS}
    return {**matching.RANKED_DICTIONARIES, **{name: matching.build_ranked_dict(words.split()) for name, words in ours.items()}}


def _estimate(password: str, dictionaries: Dictionaries) -> int:
    from zxcvbn import matching, scoring

    if not password:
        return 1
    matches = [
        *matching.dictionary_match(password, dictionaries),
        *matching.reverse_dictionary_match(password, dictionaries),
        *_disguised(password, dictionaries),
        *_walks(password),
        *_repeated(password, dictionaries),
        *_copied(password),
        *matching.sequence_match(password),
        *matching.date_match(password),
    ]
    return int(scoring.most_guessable_match_sequence(password, matches)["guesses"])


def _disguised(password: str, dictionaries: Dictionaries) -> Iterator[dict[str, Any]]:
    """Words in which characters stand for others."""
    from zxcvbn import matching

    for disguise in _DISGUISES:
        shown = password.translate(disguise)
        for match in matching.dictionary_match(shown, dictionaries) if shown != password else ():
            token = password[match["i"] : match["j"] + 1]
            stands_for = {each: shown[at] for at, each in enumerate(token, match["i"]) if each != shown[at]}
            if stands_for and len(token) > 1:
                yield {**match, "token": token, "l33t": True, "sub": stands_for}


def _walks(password: str) -> Iterator[dict[str, Any]]:
    """Walks over the keys of a keyboard."""
    from zxcvbn import matching

    for layout in _LAYOUTS:
        for match in matching.spatial_match(password.translate(layout)):
            yield {**match, "token": password[match["i"] : match["j"] + 1]}


def _repeated(password: str, dictionaries: Dictionaries) -> Iterator[dict[str, Any]]:
    """Text that stands several times in a row."""
    for pattern in _REPEATS:
        for found in pattern.finditer(password):
            yield {
                "pattern": "repeat",
                "i": found.start(),
                "j": found.end() - 1,
                "token": found[0],
                "base_guesses": _estimate(found[1], dictionaries),
                "repeat_count": len(found[0]) // len(found[1]),
            }


def _copied(password: str) -> Iterator[dict[str, Any]]:
    """Text that already stood before, with something between."""
    folded = password.lower()
    for begin in range(len(folded)):
        for end in range(begin + _SHORTEST_WORD, len(folded) + 1):
            if folded[begin:end] not in folded[:begin]:
                break
            token = {"i": begin, "j": end - 1, "token": password[begin:end], "matched_word": folded[begin:end]}
            yield {"pattern": "dictionary", "dictionary_name": "copied", "rank": 1, "reversed": False, "l33t": False, **token}
