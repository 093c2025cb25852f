"""Every error Lookalike raises on purpose.

    LookalikeError
    ├── SettingsError              a setting is unusable or contradicts another
    ├── ModelError                 a model cannot be used
    │   ├── UnknownModelError
    │   ├── ModelLoadError
    │   ├── NoTextTowerError
    │   └── DeviceMemoryError
    ├── ImageError                 one picture cannot be used; the others go on
    │   ├── EmptyFileError
    │   ├── NotAnImageError
    │   ├── TruncatedImageError
    │   ├── ImageTooLargeError
    │   ├── UnreadableFileError
    │   ├── DecodeTimeoutError
    │   ├── DecoderCrashedError
    │   └── UnusableVectorError
    ├── StoreError                 the store cannot be used as it is
    │   ├── StoreVersionError
    │   ├── StoreModelError
    │   ├── DamagedCatalogError
    │   ├── DamagedSegmentError
    │   ├── DamagedIndexError
    │   ├── IndexUnavailableError
    │   └── IndexConflictError
    ├── SourceError                the image folder cannot be listed
    ├── ClusterError               the Ray cluster cannot be used
    ├── MetadataError              the shop's product data cannot be read
    ├── EvaluationError            there is nothing to measure a model with
    ├── BusyError                  another ingester holds the store
    ├── MassRemovalError           the delete guard stopped a run
    └── RunCancelledError          somebody asked the run to stop

``code`` is the stable name that clients, run rows and problem documents carry. The domain knows
nothing of HTTP or exit codes: each program keeps one table from class to status.
"""

from __future__ import annotations

from typing import ClassVar


class LookalikeError(Exception):
    """Something went wrong that the message explains."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__ or self.code)


class SettingsError(LookalikeError):
    """A setting is unusable or contradicts another."""

    code = "invalid_settings"


class ModelError(LookalikeError):
    """A model cannot be used."""

    code = "model_error"


class UnknownModelError(ModelError):
    """No model answers to this spec."""

    code = "unknown_model"


class ModelLoadError(ModelError):
    """The model's weights or library could not be loaded."""

    code = "model_load_failed"


class NoTextTowerError(ModelError):
    """The model embeds pictures only, so it cannot search by text."""

    code = "no_text_tower"


class DeviceMemoryError(ModelError):
    """The batch does not fit into the device's memory."""

    code = "out_of_device_memory"


class ImageError(LookalikeError):
    """One picture cannot be used; the others go on."""

    code = "image_error"


class EmptyFileError(ImageError):
    """The file holds no bytes."""

    code = "empty_file"


class NotAnImageError(ImageError):
    """The content is not a JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF or HEIC picture."""

    code = "not_an_image"


class TruncatedImageError(ImageError):
    """The picture starts well but its data breaks off or is damaged."""

    code = "damaged_image"


class ImageTooLargeError(ImageError):
    """The picture is over a limit of size or pixels."""

    code = "image_too_large"


class UnreadableFileError(ImageError):
    """The file could not be read."""

    code = "unreadable_file"


class DecodeTimeoutError(ImageError):
    """Decoding took longer than allowed."""

    code = "decode_timeout"


class DecoderCrashedError(ImageError):
    """The decoder's process died on this file."""

    code = "decoder_crashed"


class UnusableVectorError(ImageError):
    """The model gave a vector that is not finite or has no length."""

    code = "unusable_vector"


class StoreError(LookalikeError):
    """The store cannot be used as it is."""

    code = "store_error"


class StoreVersionError(StoreError):
    """The store was written by a newer version of Lookalike."""

    code = "store_too_new"


class StoreModelError(StoreError):
    """The store's vectors were made by another model than the one at hand."""

    code = "store_of_another_model"


class DamagedCatalogError(StoreError):
    """The catalog's file is not what was written."""

    code = "damaged_catalog"


class DamagedSegmentError(StoreError):
    """A segment file is missing or not what was written."""

    code = "damaged_segment"


class DamagedIndexError(StoreError):
    """An index file is missing or not what was written."""

    code = "damaged_index"


class IndexUnavailableError(StoreError):
    """The vector database does not answer."""

    code = "index_unavailable"
    engine_code: int = 0  # the database's own code; 0: it gave none


class IndexConflictError(StoreError):
    """The vector database's alias belongs to another store."""

    code = "index_of_another_store"


class SourceError(LookalikeError):
    """The image folder cannot be listed."""

    code = "image_folder_unreadable"


class ClusterError(LookalikeError):
    """The Ray cluster cannot be used."""

    code = "ray_cluster_unusable"


class MetadataError(LookalikeError):
    """The shop's product data cannot be read."""

    code = "metadata_unreadable"


class EvaluationError(LookalikeError):
    """There is nothing to measure a model with."""

    code = "nothing_to_evaluate"


class BusyError(LookalikeError):
    """Another ingester holds the store."""

    code = "busy"


class MassRemovalError(LookalikeError):
    """The run would remove more items than the delete guard allows."""

    code = "mass_removal_refused"


class RunCancelledError(LookalikeError):
    """The run was asked to stop."""

    code = "cancelled"
