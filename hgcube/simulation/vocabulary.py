"""Common Dutch words by meaning: what simulated participants read aloud."""

from __future__ import annotations

from itertools import chain

_GROUPS = {
    "animals": """hond kat paard koe schaap varken kip eend gans muis konijn vis vogel beer wolf
        vos leeuw tijger olifant aap slang kikker spin mier vlinder uil ezel geit""",
    "food": """brood kaas melk boter ei appel peer banaan druif aardbei citroen aardappel wortel ui
        tomaat sla soep vlees worst rijst suiker zout koek taart honing koffie thee bier""",
    "body": """hoofd haar oog oor neus mond tand tong hals schouder arm elleboog hand vinger duim
        borst buik rug been knie voet teen huid hart bloed""",
    "house": """huis deur raam muur dak vloer trap kamer keuken zolder kelder tafel stoel bank bed
        kast lamp klok spiegel gordijn kussen deken kachel sleutel""",
    "nature": """boom bloem gras blad tak bos berg heuvel dal rivier meer zee strand
        eiland zand steen regen sneeuw wind storm wolk zon maan ster vuur water""",
    "vehicles": """auto fiets trein bus tram schip boot vliegtuig vrachtwagen brommer wagen slee
        kano raket step metro""",
    "clothing": """jas broek rok jurk hemd trui sok schoen laars hoed muts sjaal handschoen riem
        knoop das""",
    "tools": """hamer zaag tang schroef spijker boor bijl mes vork lepel schaar naald touw emmer
        schop hark kwast ladder""",
    "people": """man vrouw kind jongen meisje vader moeder broer zus oma opa buurman vriend leraar
        dokter bakker slager boer koning soldaat""",
    "actions": """lopen rennen springen zwemmen vallen staan zitten liggen slapen eten drinken koken
        lezen schrijven praten zingen lachen huilen kijken luisteren denken werken spelen dansen
        bouwen trekken duwen gooien""",
    "qualities": """groot klein hoog laag lang kort dik dun zwaar licht warm koud nat droog hard
        zacht snel langzaam oud jong nieuw mooi lelijk schoon vuil rood geel groen blauw zwart""",
    "abstract": """tijd dag week maand jaar vraag antwoord naam woord droom angst liefde vrede
        oorlog geluk pijn kracht kans plan helft""",
}

DUTCH_GROUPS: dict[str, tuple[str, ...]] = {
    group: tuple(text.split()) for group, text in _GROUPS.items()
}
DUTCH_WORDS: tuple[str, ...] = tuple(chain.from_iterable(DUTCH_GROUPS.values()))
