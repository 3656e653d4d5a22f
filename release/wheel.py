"""The wheels in the place of the checkout (`make wheel`): the commands in `.venv` then run what users install."""

from __future__ import annotations

import subprocess
import sys

from devtools.environments import DISTRIBUTIONS, ROOT, UV, built, run

WHERE = "import {0}; print(*(package.__file__ for package in ({0})))".format(
    "destination_milvus, source_zendesk_stub, support_form, playground"
)


def main() -> None:
    """Build wheels and sdists into `dist/`, install the wheels."""
    wheels = [wheel for _, wheel in built(ROOT / "dist").values()]
    # by name: a version that is there already counts as another one
    install = [UV, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--compile-bytecode"]
    by_name = [argument for name in DISTRIBUTIONS for argument in ("--reinstall-package", name)]
    run([*install, *by_name, *map(str, wheels)])
    # -I: the folder that this runs in is not looked into
    where = subprocess.run([sys.executable, "-I", "-c", WHERE], check=True, capture_output=True, text=True).stdout
    if elsewhere := [path for path in where.split() if "site-packages" not in path]:
        sys.exit(f"The commands in .venv run {', '.join(elsewhere)}, not the wheels.")
    names = ", ".join(wheel.name for wheel in wheels)
    print(f"The commands in .venv run {names}, until `make -B .venv/.complete`.")


if __name__ == "__main__":
    main()
