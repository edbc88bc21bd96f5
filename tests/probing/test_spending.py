import pytest

from costaudit.facts.token_prices import prices_of_model
from costaudit.ground.errors import UsageError
from costaudit.record.probing.options import Limits
from costaudit.record.probing.spending import priced

HERE = "http://127.0.0.1:8000"


def test_what_is_given_rules():
    limits = Limits(spend_usd=1.0, usd_per_1m_input=2.0, usd_per_1m_output=3.0)
    assert priced(limits, model="gpt-5.4", base_url=HERE) == limits


def test_no_limit_needs_no_price():
    assert priced(Limits(), model="unheard-of", base_url=HERE) == Limits()


def test_a_listed_model_has_the_price_of_its_provider():
    limits = priced(Limits(spend_usd=1.0), model="gpt-5.4", base_url="https://api.openai.com/v1")
    (listed,) = [p for p in prices_of_model("gpt-5.4") if p.provider == "openai"]
    assert limits.usd_per_1m_input == listed.input_usd_per_1m
    assert limits.usd_per_1m_output == listed.output_usd_per_1m
    assert limits.token_price_source == f"openai, {listed.as_of}"


def test_of_several_providers_the_dearest_rules():
    model = "meta-llama/Llama-3.3-70B-Instruct"
    every = prices_of_model(model)
    assert len({p.output_usd_per_1m for p in every}) > 1
    limits = priced(Limits(spend_usd=1.0), model=model, base_url=HERE)
    assert limits.usd_per_1m_output == max(p.output_usd_per_1m for p in every)


def test_a_model_that_nobody_lists_needs_a_given_price():
    with pytest.raises(UsageError, match="no price of 'tiny'") as told:
        priced(Limits(spend_usd=1.0), model="tiny", base_url=HERE)
    assert "--token-price" in told.value.hint
