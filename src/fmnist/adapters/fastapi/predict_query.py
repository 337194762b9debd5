"""The query parameters of `POST /predict` and `POST /explain`."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request

from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.data.photograph import OPTIONAL, Step

_NAMES = "|".join(OPTIONAL)


class PictureQuery(BaseModel, frozen=True):
    """How a picture becomes an image."""

    prepare: Annotated[
        Literal["photo"] | None,
        Field(description="`photo`: make an image like those of the training from a photograph, PNG or JPEG."),
    ] = None
    without: Annotated[
        str,
        Field(
            pattern=f"^({_NAMES})(,({_NAMES}))*$",
            description=f"Steps of the preparation to leave out, with commas: {', '.join(OPTIONAL)}.",
        ),
    ] = ""

    @property
    def left_out(self) -> frozenset[Step] | None:
        """The steps of the preparation to leave out. None: there is no preparation."""
        if self.prepare is None:
            return None
        return frozenset(Step(name) for name in self.without.split(",") if name)

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read the parameters of a request.

        Raises:
            Problem: a value is wrong (422). The message names the parameter and does not repeat the value.
        """
        if not request.scope["query_string"]:
            return cls()
        try:
            query = cls.model_validate(dict(request.query_params))
        except ValidationError as error:
            wrong = "; ".join(f"query {each['loc'][0]}: {each['msg']}" for each in error.errors())
            raise Problem(422, "invalid_parameter", wrong) from None
        if query.without and query.prepare is None:
            raise Problem(422, "invalid_parameter", "query without: it needs prepare=photo")
        return query

    @classmethod
    def documented(cls) -> list[dict[str, Any]]:
        """Return the parameters for OpenAPI."""
        properties = cls.model_json_schema()["properties"]
        return [
            {"name": name, "in": "query", "required": False, "description": schema["description"], "schema": schema}
            for name, schema in properties.items()
        ]


class PredictQuery(PictureQuery, frozen=True):
    """What a caller wants beside the class of each image."""

    top_k: Annotated[
        int | None,
        Field(ge=1, le=len(CLASS_NAMES), description="Number of classes to return per image, best first."),
    ] = None
    probabilities: Annotated[bool, Field(description="Return the probability of every class, in the order of ids.")] = (
        False
    )
