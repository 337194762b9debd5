"""The query parameters of `POST /predict`."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request

from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import CLASS_NAMES


class PredictQuery(BaseModel, frozen=True):
    """What a caller wants beside the class of each image."""

    top_k: Annotated[
        int | None,
        Field(ge=1, le=len(CLASS_NAMES), description="Number of classes to return per image, best first."),
    ] = None
    probabilities: Annotated[bool, Field(description="Return the probability of every class, in the order of ids.")] = (
        False
    )

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read the parameters of a request.

        Raises:
            Problem: a value is wrong (422). The message names the parameter and does not repeat the value.
        """
        if not request.scope["query_string"]:
            return cls()
        try:
            return cls.model_validate(dict(request.query_params))
        except ValidationError as error:
            wrong = "; ".join(f"query {each['loc'][0]}: {each['msg']}" for each in error.errors())
            raise Problem(422, "invalid_parameter", wrong) from None

    @classmethod
    def documented(cls) -> list[dict[str, Any]]:
        """Return the parameters for OpenAPI."""
        properties = cls.model_json_schema()["properties"]
        return [
            {"name": name, "in": "query", "required": False, "description": schema["description"], "schema": schema}
            for name, schema in properties.items()
        ]
