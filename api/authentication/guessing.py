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
birthday geburtstag anniversaire cumpleanos compleanno verjaardag schatz schatzi liebling liebe amour amor amore mausi
hallo zusammen guten morgen abend bonjour buongiorno buenos dias hola ciao danke bitte merci gracias grazie
lass mich rein bundesrepublik deutschland osterreich oesterreich schweiz france espana italia nederland belgique polska
berlin hamburg munchen muenchen koln koeln frankfurt wien zurich zuerich paris lyon marseille madrid barcelona roma milano
fussball futbol calcio voetbal bundesliga bayern borussia dortmund schalke fcbayern realmadrid juventus ajax feyenoord
firma buro buero arbeit chef urlaub kaffee sonne sommerzeit computer rechner benutzer kunde abteilung verwaltung
"""
"""Words for passwords, seasons, months, weekdays, greetings and places in the languages of Western Europe, without accents."""
_PHRASES = """
correct horse battery staple/the quick brown fox/jumps over the lazy dog/to be or not to be/that is the question
may the force be with you/winter is coming/open the door/i love you/ich liebe dich/je t'aime/te quiero/ti amo/te amo
you'll never walk alone/supercalifragilisticexpialidocious/all your base are belong to us/lorem ipsum/dolor sit amet
consectetur adipiscing elit/four score and seven years ago/we the people/i have a dream/yes we can/make america great again
in the beginning/god save the king/god save the queen/our father/vater unser/hail mary/in god we trust/let there be light
once upon a time/es war einmal/il etait une fois/erase una volta/happy birthday to you/happily ever after/live long and prosper
luke i am your father/i am your father/no i am your father/hasta la vista/i'll be back/here's looking at you/play it again sam
elementary my dear watson/beam me up scotty/winner winner chicken dinner/the cake is a lie/game of thrones/lord of the rings
one ring to rule them all/you shall not pass/harry potter/star wars/star trek/a new hope/houston we have a problem
bohemian rhapsody/is this the real life/we will rock you/we are the champions/stairway to heaven/hotel california/let it be
imagine all the people/smoke on the water/smells like teen spirit/never gonna give you up/never gonna let you down/hey jude
twinkle twinkle little star/row row row your boat/mary had a little lamb/humpty dumpty/alle meine entchen/frere jacques
an apple a day/keeps the doctor away/time is money/home sweet home/carpe diem/cogito ergo sum/veni vidi vici/alea iacta est
sein oder nicht sein/das ist hier die frage/einigkeit und recht und freiheit/wir schaffen das/freude schoner gotterfunken
allons enfants/liberte egalite fraternite/o sole mio/hakuna matata/sesam offne dich/open sesame/abracadabra/hello world
the answer is 42/password is password/this is my password/this is a password/my voice is my passport/i want to believe
let me in/let me in please/do not enter/no passwords here/keep it secret/keep calm and carry on/what does the fox say
"""
"""Famous lines, of which people type a part, with or without what separates the words."""
_YEARS = " ".join(str(year) for year in sorted(range(1940, 2060), key=lambda year: abs(year - 2026)))
_DISGUISES = (
    str.maketrans("4@83691!|0$5+7%2({[<", "aabeggiiiossttxzcccc"),
    str.maketrans("4@83691!|0$5+7%2({[<", "aabegglllosstlxzcccc"),
    str.maketrans("!@#$%^&*()", "1234567890"),
)
"""Characters that stand for others: for letters, in two readings, and digits typed with the shift key."""
_LAYOUTS: tuple[dict[int, int], ...] = (
    {},
    str.maketrans("yzYZ", "zyZY"),
    str.maketrans("aqzwAQZWmM", "qawzQAWZ;:"),
    str.maketrans("ицукенгшщзхъфывапролджэячсмтьбю", "qwertyuiop[]asdfghjkl;'zxcvnm,."),  # й has become и, and counts as that key
)
"""From the positions of keys on QWERTY, QWERTZ, AZERTY and ЙЦУКЕН keyboards to those on QWERTY."""
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

    lines = [re.sub(r"[^\w ]", "", line).split() for line in re.split("[/\n]", _PHRASES) if line]
    begun = ["".join(line[:end]) for line in lines for end in range(min(3, len(line)), len(line) + 1)]
    ours = {"product": _PRODUCT.split(), "people": _PEOPLE.split(), "years": _YEARS.split(), "phrases": begun}
    return {**matching.RANKED_DICTIONARIES, **{name: matching.build_ranked_dict(words) for name, words in ours.items()}}


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
