"""What is built into a classifier, and ART's ways to set it all the same."""

from typing import Any

from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.defences.given import as_defences
from art_disc.defences.preprocessor import check_clip_values, is_ours
from art_disc.estimators.entrance import CheckedInputs
from art_disc.estimators.module import DefendedModule
from art_disc.estimators.places import check_places
from art_disc.networks import clamp_after_steps


class FixedModule(Shown, CheckedInputs):
    """A `PyTorchClassifier` that stays with its module, whose layout and range are its own."""

    model: DefendedModule

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._check_module()
        self._keep_clamped()

    @property
    def preprocessing_defences(self) -> list[Any] | None:
        """ART's own list, as a copy, ours in it sealed; a new list takes effect when it is set.

        Raises:
            InputError: On setting: no preprocessors, or one that draws.
        """
        return list(self._listed) or None

    @preprocessing_defences.setter
    def preprocessing_defences(self, given: Any) -> None:
        wanted = as_defences([] if given is None else given, name="preprocessing_defences")
        check_places((), wanted)
        self._listed = tuple(one.sealed() if is_ours(one) else one for one in wanted)
        # in its constructor ART composes the steps itself
        if hasattr(self, "preprocessing_operations"):
            self._update_preprocessing_operations()
            self._check_params()

    def set_params(self, **params: Any) -> None:
        """As ART's; what is built into the module stays as it is.

        Raises:
            InputError: Another model, range or layout, or what `preprocessing_defences` refuses;
                nothing is changed then.
        """
        before = self.__dict__.copy()
        try:
            # ART would put it in the place of its own wrapper, the same one too
            if params.pop("model", self.model) is not self.model:
                msg = "a classifier cannot be given another model; build_classifier makes a new one"
                raise InputError(msg)
            super().set_params(**params)
            self._check_module()
            self._keep_clamped()
        except Exception:
            self.__dict__.update(before)
            self._update_preprocessing_operations()
            raise

    def _keep_clamped(self) -> None:
        """Clamp latent weights whoever steps: some of ART's trainers call the optimiser alone."""
        if self._optimizer is not None:
            clamp_after_steps(self._optimizer, self.model)

    def _check_module(self) -> None:
        """Refuse clip values and layout that are not those of the module."""
        # without clip values it is a clone that ART has not finished
        if self.clip_values is None:
            return
        given = check_clip_values(self.clip_values), self.channels_first
        module = (0.0, float(self.model.upper)), self.model.channels_first
        if given != module:
            msg = (
                "clip_values and channels_first must be those of the module, "
                f"(0, {module[0][1]:g}) and {module[1]}, got (0, {given[0][1]:g}) and {given[1]}; "
                "build the classifier again"
            )
            raise InputError(msg)
