"""Images that a user names: files and folders of any known kind, as parts, and the rows of each part."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol

from fmnist.domain.model.data.image_rows import ImageRows, InputPart


class ImageSource(Protocol):
    """A reader of input files. It is picklable, and opens nothing before it is called.

    Both methods raise `StoreUnavailable` if a store does not answer or denies access.
    """

    @abstractmethod
    def parts(self, inputs: Sequence[str]) -> tuple[InputPart, ...]:
        """Return the parts of files, folders and patterns: in the order of `inputs`, and within one by name.

        Consecutive pictures of a folder are one part, up to `MOST_PICTURES`.

        Raises:
            InvalidImages: an input does not exist, has no file, or has a file of no known kind; or a file is named
                twice. The message names it.
        """

    @abstractmethod
    def read(self, part: InputPart) -> Iterator[ImageRows]:
        """Yield the rows of a part in order, at most `MOST_ROWS` at a time. Each row is read or unreadable.

        Raises:
            InvalidImages: the file cannot be read to its end. The message names it.
        """
