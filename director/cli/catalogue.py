"""All commands: names, aliases and one line of help, known without loading any of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One command; ``help`` is what its own module says too (a test compares them).

    A name of two words, such as ``cpi new``, is a command of the group ``cpi``.
    """

    name: str
    help: str
    aliases: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module whose ``command`` it is."""
        return f"director.cli.commands.{self.name.replace('-', '_').replace(' ', '_')}"


THEMES: dict[str, tuple[Entry, ...]] = {
    "Deployments": (
        Entry("deploy", "Deploy a manifest: create or change a deployment.", ("d",)),
        Entry("deployments", "List deployments.", ("ds", "deps")),
        Entry("manifest", "Show a deployment's manifest as last submitted.", ("man",)),
        Entry("delete-deployment", "Delete a deployment, its VMs and its addresses.", ("deld",)),
        Entry("variables", "List a deployment's variables, without their values.", ("vars",)),
        Entry("interpolate", "Apply ops files and variables to a file.", ("int",)),
    ),
    "Instances": (
        Entry("instances", "List the instances of a deployment, or of all.", ("is",)),
        Entry("vms", "List the VMs of a deployment, or of all."),
        Entry("start", "Start instances."),
        Entry("stop", "Stop instances."),
        Entry("restart", "Restart instances."),
        Entry("recreate", "Recreate the VMs of instances; disks are kept."),
        Entry("errands", "List a deployment's errands.", ("es",)),
        Entry("run-errand", "Run an errand."),
        Entry("ssh", "Open a shell on an instance, or run a command on several."),
        Entry("scp", "Copy files to and from instances."),
        Entry("logs", "Download or follow the logs of instances."),
    ),
    "Releases and stemcells": (
        Entry("create-release", "Create a release from its directory.", ("cr",)),
        Entry("upload-release", "Upload a release; sends only what is missing.", ("ur",)),
        Entry("releases", "List releases.", ("rs",)),
        Entry("delete-release", "Delete a release, or one version of it.", ("delr",)),
        Entry("build-stemcell", "Build a stemcell from its definition."),
        Entry("upload-stemcell", "Upload a stemcell.", ("us",)),
        Entry("stemcells", "List stemcells.", ("ss",)),
        Entry("delete-stemcell", "Delete a stemcell.", ("dels",)),
    ),
    "Configs": (
        Entry("cloud-config", "Show the cloud config.", ("cc",)),
        Entry("update-cloud-config", "Set the cloud config.", ("ucc",)),
        Entry("cpi-config", "Show the CPI config."),
        Entry(
            "update-cpi-config",
            "Set the CPI config: the clouds that AZs of the cloud config may name.",
        ),
    ),
    "Disks": (
        Entry("disks", "List orphaned disks."),
        Entry("attach-disk", "Attach a disk to an instance in place of its own."),
        Entry("orphan-disk", "Orphan a disk."),
        Entry("delete-disk", "Delete an orphaned disk."),
    ),
    "Cloud provider interfaces": (
        Entry("cpi list", "List the CPIs that are installed."),
        Entry("cpi show", "Show the properties of a CPI."),
        Entry("cpi new", "Write the package of a new CPI, to be filled in."),
        Entry("cpi test", "Check a CPI against a real account, which it leaves as it was."),
    ),
    "Tasks and the director": (
        Entry("tasks", "List running or recent tasks.", ("ts",)),
        Entry("task", "Show a task and follow it.", ("t",)),
        Entry("cancel-task", "Cancel a task at its next checkpoint.", ("ct",)),
        Entry("events", "List what was done, when and by whom."),
        Entry("locks", "List the locks held now."),
        Entry("clean-up", "Delete what nothing uses any more."),
        Entry("environment", "Show facts about the director.", ("env",)),
        Entry("curl", "Send an HTTP request to the director."),
        Entry("completion", "Print a script that completes commands in a shell."),
    ),
}
"""What the command line can do, by what it is about."""

COMMANDS: dict[str, Entry] = {entry.name: entry for row in THEMES.values() for entry in row}

GROUPS: dict[str, str] = {"cpi": "Write, check and look at cloud provider interfaces."}
"""The first words of names of two words, with a line of help."""

ALIASES: dict[str, str] = {
    alias: entry.name for entry in COMMANDS.values() for alias in entry.aliases
}

NOT_YET = frozenset(
    (
        "add-blob",
        "alias-env",
        "blobs",
        "cancel-tasks",
        "cloud-check",
        "cck",
        "config",
        "configs",
        "create-env",
        "create-recovery-plan",
        "delete-config",
        "delete-env",
        "delete-network",
        "delete-snapshot",
        "delete-snapshots",
        "delete-vm",
        "deployment",
        "diff-config",
        "environments",
        "envs",
        "event",
        "export-release",
        "finalize-release",
        "generate-job",
        "generate-package",
        "ignore",
        "init-release",
        "inspect-local-release",
        "inspect-local-stemcell",
        "inspect-release",
        "log-in",
        "log-out",
        "login",
        "logout",
        "networks",
        "orphaned-vms",
        "pcap",
        "recover",
        "redigest-release",
        "remove-blob",
        "repack-stemcell",
        "reset-release",
        "runtime-config",
        "snapshots",
        "start-env",
        "stop-env",
        "sync-blobs",
        "take-snapshot",
        "unalias-env",
        "unignore",
        "update-config",
        "update-resurrection",
        "update-runtime-config",
        "upload-blobs",
        "vendor-package",
    )
)
"""Commands of the bosh CLI that are not built, so that they are refused by name."""
