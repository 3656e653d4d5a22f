# ruff: noqa: RUF001 - texts in other scripts
"""One line in the log where a bundled model does not know the language of what it embeds, and none where it does."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

import pytest

from destination_milvus.config.embedding import MINILM, MULTILINGUAL, Embedding, FakeEmbedding, LocalEmbedding
from destination_milvus.documents.languages import is_english, is_multilingual
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.embedding.languages import watched

ENGLISH = "When you have lost the phone with the app that makes the codes, ask an administrator of your account."
OTHERS = {
    "German": "Wenn das Telefon mit der App verloren ist, die die Codes erzeugt, hilft die Verwaltung des Kontos.",
    "French": "Si vous avez perdu le téléphone avec l'application qui crée les codes, demandez à une personne.",
    "Spanish": "Si ha perdido el teléfono con la aplicación que crea los códigos, pida ayuda a una persona.",
    "Portuguese": "Se você perdeu o telefone com o aplicativo que cria os códigos, peça ajuda ao seu administrador.",
    "Italian": "Se hai perso il telefono con l'app che crea i codici, chiedi aiuto a chi amministra il conto.",
    "Dutch": "Als je de telefoon met de app kwijt bent, vraag dan hulp aan de beheerder van het account.",
    "Polish": "Jeśli telefon z aplikacją tworzącą kody zaginął, poproś o pomoc osobę, która zarządza kontem.",
    "Swedish": "Om du har tappat telefonen med appen som gör koderna, be den som sköter kontot att hjälpa till.",
    "Turkish": "Kodları üreten uygulamanın bulunduğu telefonu kaybettiyseniz bir yöneticiden yardım isteyin.",
    "Russian": "Если вы потеряли телефон с приложением, которое создаёт коды, попросите помощи у администратора.",
    "Chinese": "如果您丢失了装有验证码应用的手机,请联系账户管理员寻求帮助。" * 4,
    "Japanese": "認証コードのアプリが入った電話をなくした場合は、アカウントの管理者に連絡してください。" * 3,
    "Korean": "코드를 만드는 앱이 있는 휴대폰을 잃어버렸다면 계정 관리자에게 도움을 요청하세요." * 3,
    "Thai": "หากคุณทำโทรศัพท์ที่มีแอปสร้างรหัสหาย โปรดขอความช่วยเหลือจากผู้ดูแลบัญชี" * 3,
    "Arabic": "إذا فقدت الهاتف الذي يحتوي على التطبيق فاطلب المساعدة من مسؤول الحساب" * 3,
}
UNKNOWN_SCRIPTS = {
    "Hebrew": "אם איבדת את הטלפון עם היישום שיוצר את הקודים, בקש עזרה ממנהל החשבון. " * 3,
    "Hindi": "यदि आपने कोड बनाने वाले ऐप वाला फ़ोन खो दिया है, तो खाते के व्यवस्थापक से मदद माँगें। " * 3,
    "Greek": "Αν χάσατε το τηλέφωνο με την εφαρμογή που φτιάχνει τους κωδικούς, ζητήστε βοήθεια. " * 3,
}


def logged(caplog: pytest.LogCaptureFixture, embedding: Embedding, *calls: list[str]) -> list[str]:
    """What embedding these texts logs; the vectors go through as they are."""
    plain = FakeEmbedder()
    embedder = watched(embedding, plain)
    assert (embedder.identity, embedder.dimensions) == (plain.identity, plain.dimensions)
    with caplog.at_level(logging.WARNING, "airbyte.destination"):
        for texts in calls:
            assert embedder.embed(texts) == plain.embed(texts)
    return [record.getMessage() for record in caplog.records]


def test_english_is_english() -> None:
    assert is_english(ENGLISH)
    assert is_multilingual(ENGLISH)


@pytest.mark.parametrize("language", OTHERS)
def test_other_languages_are_not(language: str) -> None:
    assert is_english(OTHERS[language]) is False
    assert is_multilingual(OTHERS[language])


@pytest.mark.parametrize("text", ["", "360033549136", "ERR_CONNECTION_RESET 0x80070005", "Tallyroost", "printer label"])
def test_what_has_no_common_word_tells_nothing(text: str) -> None:
    assert is_english(text) is None


def test_what_has_no_letters_has_no_script() -> None:
    assert is_multilingual("360033549136 \u0301") is None


@pytest.mark.parametrize("language", OTHERS)
def test_minilm_says_once_that_texts_are_not_english_and_names_the_other_model(
    caplog: pytest.LogCaptureFixture, language: str
) -> None:
    texts = [OTHERS[language]] * 9
    [line] = logged(caplog, LocalEmbedding(), texts, texts)
    assert line.startswith("Most of the first 9 texts are not in English, and the model all-MiniLM-L6-v2")
    assert "embedding.model to universal-sentence-encoder-multilingual" in line
    assert OTHERS[language][:10] not in line


@pytest.mark.parametrize("language", UNKNOWN_SCRIPTS)
def test_the_multilingual_model_says_that_it_does_not_know_a_script(
    caplog: pytest.LogCaptureFixture, language: str
) -> None:
    [line] = logged(caplog, LocalEmbedding(model=MULTILINGUAL), [UNKNOWN_SCRIPTS[language]] * 9)
    assert "script that the model universal-sentence-encoder-multilingual does not know" in line
    assert "embedding.mode to a service" in line


def test_neither_says_anything_of_what_it_knows(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, LocalEmbedding(), [ENGLISH] * 9) == []
    assert logged(caplog, LocalEmbedding(model=MULTILINGUAL), [ENGLISH, *OTHERS.values()]) == []


def test_a_german_in_an_english_help_desk_is_no_reason(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, LocalEmbedding(model=MINILM), [ENGLISH, OTHERS["German"], ENGLISH] * 5) == []


def test_a_few_words_are_too_few_to_tell_and_add_up(caplog: pytest.LogCaptureFixture) -> None:
    text = OTHERS["French"]
    assert logged(caplog, LocalEmbedding(), [text]) == []
    assert len(logged(caplog, LocalEmbedding(), *([text] for _ in range(9)))) == 1


def test_texts_that_tell_nothing_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, LocalEmbedding(), ["360033549136"] * 500) == []
    assert len(logged(caplog, LocalEmbedding(), ["360033549136", *[OTHERS["German"]] * 9])) == 1


def test_models_that_are_not_bundled_are_not_judged(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, FakeEmbedding(), [OTHERS["Chinese"]] * 9) == []


def test_many_threads_say_it_once(caplog: pytest.LogCaptureFixture) -> None:
    embedder = watched(LocalEmbedding(), FakeEmbedder())
    with caplog.at_level(logging.WARNING, "airbyte.destination"), ThreadPoolExecutor(8) as threads:
        list(threads.map(embedder.embed, repeat([OTHERS["Russian"]] * 3, 40)))
    assert len(caplog.records) == 1


def test_a_large_batch_is_not_read_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """The first 100,000 characters tell enough."""
    texts = list(chain(repeat(OTHERS["German"], 1200), repeat(ENGLISH * 100, 1000)))
    [line] = logged(caplog, LocalEmbedding(), texts)
    assert "1,0" not in line
    assert int(line.split()[4]) < 1200
