"""Words that tell apart the many retellings of one text: devices, versions, sites, names, small talk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

PLATFORMS = ("web", "android", "ios", "handheld", "windows", "api")

_DEVICES = (
    "a Zebra-style handheld scanner",
    "a Pixel 8",
    "an older Galaxy tablet",
    "an iPad of the ninth generation",
    "an iPhone 15",
    "a rugged Android phone",
    "Chrome on Windows 11",
    "Firefox on Ubuntu",
    "Safari on a MacBook",
    "Edge on a shared office PC",
    "a Chromebook in the site cabin",
    "a ring scanner paired over Bluetooth",
    "a kiosk tablet at the gate",
    "a laptop on the van's hotspot",
)
_SITE_FIRST = (
    "North", "South", "East", "West", "Harbour", "Mill", "Quarry", "Station", "Canal", "Bridge", "Orchard",
    "Foundry", "Airport", "Ferry", "Granary", "Copper", "Tannery", "Priory", "Windmill", "Railway", "Lime",
    "Chapel", "Forge", "Dock",
)  # fmt: skip
_SITE_SECOND = (
    "gate yard", "side depot", "lane store", "road hangar", "row warehouse", "park cabin", "field compound",
    "end shed", "bank site", "hill stockroom", "cross workshop", "point container", "court tool crib",
    "wharf bay",
)  # fmt: skip
_ROLES = (
    "yard manager", "storekeeper", "site engineer", "office administrator", "project lead",
    "stock controller", "fleet coordinator", "IT contractor", "bookkeeper", "foreman",
    "tool room attendant", "operations director",
)  # fmt: skip
_OPENINGS = (
    "Hello,", "Hi team,", "Good morning,", "Hi there,", "Dear support,", "Good afternoon,", "Hey,",
    "To whom it may concern,", "Hello Tallyroost,", "Morning all,",
)  # fmt: skip
_TRIED = (
    "We already signed out and in again, which made no difference.",
    "Restarting the device changed nothing.",
    "A colleague at {site} sees exactly the same.",
    "It worked until we moved to version {version}.",
    "I tried it in a private window with every extension switched off, same result.",
    "Our own IT looked at the network and found nothing unusual.",
    "I reinstalled the app from the store, without success.",
    "Interestingly, on {device} it works.",
    "Last month the very same steps were no problem at all.",
    "I went through the help center first but did not find my way.",
    "We tried with a second account that has more rights, to no avail.",
    "Waiting an hour and trying again did not help either.",
)
_IMPACT = (
    "About {people} people are waiting for this.",
    "It is not urgent, but it bothers us every week.",
    "We have an audit on day {people} of next month and need it by then.",
    "Job {job} stands still because of it.",
    "For now we write things down on paper.",
    "I have told the crew at {site} to leave it alone until you answer.",
    "Nobody has lost any work yet, as far as I can see.",
    "Customers on job {job} have begun to ask.",
)
_CLOSINGS = (
    "Thanks in advance!", "Kind regards", "Best wishes from {site}", "Thank you for looking into it.",
    "Cheers", "Please call me back on extension {people}{people}.", "Looking forward to your answer.",
    "Many thanks", "Regards from the {site} crew", "Any hint is welcome.",
)  # fmt: skip
_FIRST_NAMES = (
    "Amara", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keiko",
    "Liam", "Mariana", "Nils", "Oksana", "Pedro", "Quinn", "Rosa", "Sanjay", "Tove", "Umar", "Vera",
    "Wanda", "Xavier", "Yusuf", "Zofia", "Aoife", "Bongani", "Celeste", "Dafydd", "Eun-ji", "Freya",
    "Gideon", "Hana", "Ivo", "Jamila", "Kofi", "Leila",
)  # fmt: skip
_LAST_NAMES = (
    "Abara", "Bergström", "Castellani", "Dlamini", "Eriksen", "Fontaine", "Grygorenko", "Haddad", "Ibarra",
    "Jankowski", "Kaplan", "Lindqvist", "Moreau", "Nakagawa", "Okafor", "Pereira", "Quispe", "Rasmussen",
    "Sharma", "Tremblay", "Ueda", "Vasquez", "Whitfield", "Xu", "Yildiz", "Zielinski", "Ashworth", "Brandt",
    "Cohen", "Doyle", "Esposito", "Ferreira", "Gallagher", "Hofmann", "Iversen", "Jovanović",
)  # fmt: skip
_COMPANY_FIRST = (
    "Harborline", "Kestrel", "Bluestone", "Fjordmark", "Redgate", "Sunfield", "Ironbridge", "Larkspur",
    "Northwind", "Oakhollow", "Pinecrest", "Quayside", "Ridgeway", "Silverbrook", "Thornbury", "Umberfield",
    "Vantage Hill", "Westmoor", "Yarrow", "Zephyr Point", "Alderbank", "Brightwater", "Cobblestone",
    "Drumlin",
)  # fmt: skip
_COMPANY_SECOND = (
    "Scaffolding", "Event Rigging", "Landscaping", "Roofing", "Tool Hire", "Utilities", "Film Services",
    "Civil Works", "Electrical", "Joinery", "Marine Services", "Solar", "Facilities", "Crane Hire",
    "Stage & Light", "Water Works", "Restoration", "Rail Maintenance", "Archaeology", "Disaster Relief",
)  # fmt: skip

COMPANY_NAMES = len(_COMPANY_FIRST) * len(_COMPANY_SECOND)
"""How many different company names there are before a branch's number tells them apart."""


def retold(subject: str, description: str, index: int, draw: random.Random) -> tuple[str, str]:
    """Subject and description with details of the ticket's own, among them a job number no other one has."""
    details = {
        "site": site(draw),
        "version": app_version(draw),
        "device": draw.choice(_DEVICES),
        "people": draw.randint(3, 28),
        "job": f"J-{index:07d}",
    }
    context = f"This is about job {details['job']} at {details['site']}; I am the {draw.choice(_ROLES)} there and use "
    context += f"{details['device']} with version {details['version']}."
    aside = " ".join(draw.sample(_TRIED, draw.randint(1, 2))) + " " + draw.choice(_IMPACT)
    parts = (
        draw.choice(_OPENINGS),
        description,
        context,
        aside.format(**details),
        draw.choice(_CLOSINGS).format(**details),
    )
    return _subject_retold(subject, details, draw), "\n\n".join(parts)


def _subject_retold(subject: str, details: dict[str, object], draw: random.Random) -> str:
    pattern = draw.choice(
        (
            "{subject} ({job})",
            "{subject} - {site}",
            "{site}: {subject}",
            "{subject} [{version}]",
            "{job}: {subject}",
            "{subject} ({site}, {version})",
        )
    )
    return pattern.format(subject=subject, **details)


def site(draw: random.Random) -> str:
    """A place where a crew works: Harbour lane store."""
    return f"{draw.choice(_SITE_FIRST)} {draw.choice(_SITE_SECOND)}"


def app_version(draw: random.Random) -> str:
    """A version of the product's app: 7.14.2."""
    return f"{draw.randint(5, 8)}.{draw.randint(0, 19)}.{draw.randint(0, 6)}"


def person(draw: random.Random) -> str:
    """A person's first and last name."""
    return f"{draw.choice(_FIRST_NAMES)} {draw.choice(_LAST_NAMES)}"


def company(index: int) -> str:
    """A company's name, different for every index: beyond the first names, branches are numbered."""
    branch, place = divmod(index, COMPANY_NAMES)
    row, column = divmod(place, len(_COMPANY_FIRST))
    first, second = _COMPANY_FIRST[column], _COMPANY_SECOND[(column + row) % len(_COMPANY_SECOND)]
    return f"{first} {second}" if branch == 0 else f"{first} {second} {branch + 1}"
