"""Makes a model cost map of the shape of LiteLLM's: invented names and prices, every kind of entry that the real one has."""

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

_PROVIDERS = ("acme", "acme_ai", "north", "north-language-models", "bedrock_like", "azure_like")
_SIZES = ("256-x-256", "1024-x-1024", "1024-x-1792")


def cost_map(models: int = 3_200, *, seed: int = 7) -> dict[str, Any]:
    """Return a map of that many models that can be priced by tokens or images, and some hundred that cannot."""
    dice = random.Random(seed)
    found: dict[str, Any] = {"sample_spec": _specimen()}
    for number in range(models * 17 // 20):
        found[f"{dice.choice(_PROVIDERS)}/chat-{number}"] = _chat(dice)
    for number in range(models // 20):
        found[f"embed-{number}"] = _embedding(dice)
        found[f"local/free-{number}"] = _free()
    for number in range(models - len(found) + 1):
        size, quality = _SIZES[number % 3], ("", "hd/", "standard/")[number // 3 % 3]
        found[f"{quality}{size}/painter-{number // 9}"] = _image(dice, per_pixel=number % 2 == 0)
    for number in range(models // 40):
        found |= _unusable(number)
    return found


def write(path: Path, found: dict[str, Any]) -> Path:
    """Write the map as JSON; Decimals are written as JSON numbers, in the exponent form that the real file has."""
    path.write_text(_json(found))
    return path


def _json(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():e}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_json(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return json.dumps(value)


def _price(dice: random.Random, places: int = 8) -> Decimal:
    return Decimal(dice.randint(1, 5_000)).scaleb(-places)


def _chat(dice: random.Random) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "input_cost_per_token": _price(dice),
        "litellm_provider": dice.choice(_PROVIDERS),
        "max_input_tokens": 131_072,
        "max_output_tokens": dice.choice((512, 4_096, 8_191, 131_072)),
        "mode": dice.choice(("chat", "chat", "completion", "responses")),
        "output_cost_per_token": _price(dice),
        "supports_function_calling": True,
        "source": "https://prices.example",
    }
    if dice.random() < 0.4:
        facts["cache_read_input_token_cost"] = _price(dice, 9)
    if dice.random() < 0.1:
        facts["search_context_cost_per_query"] = {"search_context_size_low": Decimal("0.03")}
    return facts


def _embedding(dice: random.Random) -> dict[str, Any]:
    return {"input_cost_per_token": _price(dice, 9), "litellm_provider": "acme", "mode": "embedding"}


def _free() -> dict[str, Any]:
    return {
        "input_cost_per_token": Decimal(0),
        "output_cost_per_token": 0,
        "litellm_provider": "local",
        "mode": "chat",
    }


def _image(dice: random.Random, *, per_pixel: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"litellm_provider": "acme", "mode": "image_generation"}
    if per_pixel:
        return facts | {"input_cost_per_pixel": _price(dice, 11), "output_cost_per_pixel": Decimal(0)}
    return facts | {"output_cost_per_image": _price(dice, 4)}


def _unusable(number: int) -> dict[str, Any]:
    return {
        f"hears-{number}": {"input_cost_per_second": Decimal("0.0001"), "mode": "audio_transcription"},
        f"ranks-{number}": {
            "input_cost_per_query": Decimal("0.002"),
            "input_cost_per_token": Decimal(0),
            "output_cost_per_token": Decimal(0),
            "mode": "rerank",
        },
        f"half-{number}": {"input_cost_per_token": Decimal("1e-6"), "mode": "chat"},
        f"moderates-{number}": {"mode": "moderation", "max_tokens": 32_768},
    }


def _specimen() -> dict[str, Any]:
    return {
        "input_cost_per_token": Decimal(0),
        "output_cost_per_token": Decimal(0),
        "litellm_provider": "one of the providers",
        "max_output_tokens": "max output tokens, if the provider specifies it",
        "mode": "one of: chat, embedding, …",
    }
