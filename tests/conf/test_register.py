"""The register of purposes is complete."""

from conf.catalogue import load_catalogue
from conf.register import TREATMENT, page, personal_fields

CATALOGUE = load_catalogue()


def test_every_kind_of_personal_data_has_a_treatment():
    kinds = {kind for schema in CATALOGUE.schemas.values() for kind in personal_fields(schema)}
    assert kinds <= set(TREATMENT)


def test_every_feed_with_personal_data_is_listed():
    text = page(CATALOGUE)
    for feed in CATALOGUE.feeds.values():
        if personal_fields(CATALOGUE.schemas[feed.schema_name]):
            assert feed.code in text
            assert feed.purpose in text
