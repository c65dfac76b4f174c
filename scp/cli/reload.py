"""The recipe read again while the node runs: on SIGHUP, by the supervisor first and then by those who use it."""

from dataclasses import replace
from pathlib import Path

from scp import build, log
from scp.config import ConfigError, load
from scp.deidentify.recipe import RecipeError

_RENEWED = ("recipe", "protocols", "variables")

_logger = log.get("build")


class Current:
    """The node as it is now: all but its recipe and the words that belong to it is as it was at the start.

    The supervisor's is inherited by what it forks, so that a process that starts later starts with the new recipe.
    """

    def __init__(self, node: build.Node, path: Path | None) -> None:
        self.node = node
        self._path = path

    def renew(self) -> bool:
        """Read configuration and recipe again; False where they are not in order, and everything stays as it is."""
        try:
            settings = load(self._path)
            plan = build.recipe_of(settings)
            if plan.name != self.node.plan.name:
                build.renew(self.node.config)
        except (ConfigError, RecipeError, ValueError, OSError) as error:
            _logger.error("recipe_refused", why=str(error), recipe=self.node.plan.digest[:16])
            return False
        config = self.node.config.model_copy(update={name: getattr(settings, name) for name in _RENEWED})
        self.node = replace(self.node, plan=plan, config=config)
        _logger.info("recipe_loaded", recipe=plan.digest[:16])
        return True
