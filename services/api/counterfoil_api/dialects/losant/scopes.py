"""The words of Losant's scopes: https://docs.losant.com/rest-api/overview.

A word is kept in the ledger within its group, so that the ledger's own rule says which one holds which: everything of
an application, `all.Application`, is `losant.application.*`, and `devices.get` is `losant.application.devices.get`.
"""

from collections.abc import Iterable
from typing import Final

_APPLICATION: Final = """
application: applyTemplate archiveData backfillArchiveData clone debug delete deviceCounts export
    fullDataTablesArchive fullEventsArchive get import importLogs mqttPublishMessage mqttSubscriptionStream
    notebookMinuteCounts patch payloadCounts payloadCountsBreakdown search
applicationApiToken: delete get patch
applicationApiTokens: get post
applicationCertificate: delete get patch
applicationCertificateAuthorities: get post
applicationCertificateAuthority: delete get patch
applicationCertificates: get post
applicationDashboard: delete get patch sendReport
applicationDashboards: get post
applicationJobLog: get
applicationJobLogs: get
applicationKey: delete get patch
applicationKeys: get post
credential: delete get linkedResources patch
credentials: get post
data: export lastValueQuery timeSeriesQuery
dataTable: addColumn delete get patch removeColumn
dataTableRow: delete get patch
dataTableRows: delete export get post query truncate
dataTables: get post
device: commandStream debug delete export get getCommand getCompositeState getLogEntries getState patch
    payloadCounts payloadCountsBreakdown removeData sendCommand sendState setConnectionStatus stateStream
deviceAttribute: delete get patch
deviceAttributes: get post
deviceRecipe: bulkCreate delete get patch
deviceRecipes: get post
devices: attributeNames delete detailedSummary deviceNames export get getCompositeState patch payloadCounts post
    removeData restore sendCommand tagKeys tagValues
edgeDeployment: get
edgeDeployments: get release remove replace
embeddedDeployment: get
embeddedDeployments: export get release remove replace
event: delete get patch
events: delete export get mostRecentBySeverity patch post
experience: bootstrap delete
experienceDomain: delete get patch
experienceDomains: get post
experienceEndpoint: delete get linkedResources patch
experienceEndpoints: get post stats
experienceGroup: delete get patch
experienceGroups: detailedSummary get post
experienceSlug: delete get patch
experienceSlugs: get post
experienceUser: delete get patch
experienceUsers: detailedSummary get post
experienceVersion: delete get patch
experienceVersions: get post
experienceView: debug delete get linkedResources patch
experienceViews: debug detailedSummary get post
file: delete get move patch upload
files: get post
flow: clearStorageEntries debug delete errors get getStorageEntries getStorageEntriesMetadata log patch
    pressVirtualButton setStorageEntry stats
flowVersion: delete errors get log patch stats
flowVersions: delete get post
flows: get getByVersion import palette post
integration: delete get patch
integrations: get post
notebook: delete execute get logs notebookMinuteCounts patch requestInputDataExport upload
notebooks: get post
privateFile: delete get move patch
privateFiles: get post
resourceJob: cancelExecution delete execute get logs patch
resourceJobs: get post
webhook: delete get patch
webhooks: get post
"""
"""What can be done with each resource of an application; every one has `*` as well."""
GROUPS: Final = ("application", "organization", "instance", "user")
_PREFIX: Final = "losant."
_WHOLE: Final = {f"all.{group.capitalize()}": f"{_PREFIX}{group}.*" for group in GROUPS}
_PARTS: Final = ("read", "cli", "bounded")
_NAMED: Final = _WHOLE | {
    f"{whole}.{part}": f"{kept[:-2]}.all_{part}" for whole, kept in _WHOLE.items() for part in _PARTS
}
_SHOWN: Final = {kept: word for word, kept in _NAMED.items()}


def _words() -> Iterable[str]:
    resource = ""
    for word in _APPLICATION.split():
        if word.endswith(":"):
            resource = word.removesuffix(":")
            yield f"{resource}.*"
        else:
            yield f"{resource}.{word}"


OF_APPLICATIONS: Final = frozenset(
    (*_words(), "all.Device", "all.Device.read", *(word for word in _NAMED if word.startswith("all.Application")))
)
"""All that a token of an application may be given."""
KNOWN: Final = OF_APPLICATIONS | _NAMED.keys()
"""All that may be asked for at a login."""


def kept(word: str) -> str:
    """How a word is kept in the ledger."""
    return _NAMED.get(word) or f"{_PREFIX}application.{word}"


def shown(scope: str) -> str:
    """The word of a scope; one that is not Losant's is shown as it is."""
    return _SHOWN.get(scope) or scope.removeprefix(f"{_PREFIX}application.")


def needed(*words: str) -> tuple[str, ...]:
    """The scopes of which any one is enough."""
    return tuple(map(kept, words))
