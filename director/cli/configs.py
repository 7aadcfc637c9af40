"""What the commands for configs of different kinds share: show one, and set one after a look."""

from __future__ import annotations

from director.cli.document import load_document, positions, translator
from director.cli.options import DocumentOptions
from director.cli.session import Session
from director.client.configs import diff_config, latest_config, update_config
from director.model.errors import ConfigNotFound

TITLES = {"cloud": "cloud config", "cpi": "CPI config"}


def show_config(session: Session, kind: str, name: str) -> None:
    """Print the current config of a kind; raises ConfigNotFound."""
    text = latest_config(session.http, kind, name or "default")
    if text is None:
        raise ConfigNotFound(
            f"no {TITLES[kind]}", fix=f"set one: director update-{kind}-config {kind}-config.yml"
        )
    session.ui.block(text)


def set_config(
    session: Session, kind: str, name: str, path: str, document: DocumentOptions
) -> None:
    """Make a file the current config of a kind, after its difference was shown and agreed to."""
    from director.manifest.located_yaml import require_mapping

    found = load_document(path, document)
    require_mapping(found.located, TITLES[kind])
    chosen = name or "default"
    label = f"{kind}-config" if chosen == "default" else f"{kind}-config:{chosen}"
    session.translate = translator(label, positions(found, found.text))
    lines, expected = diff_config(session.http, kind, chosen, found.text)
    session.ui.diff(lines)
    session.ui.confirm()
    update_config(session.http, kind, chosen, found.text, expected=expected)
    title = TITLES[kind]
    session.ui.line(f"{title[0].upper()}{title[1:]} updated.")
