"""The words of Losant's scopes by group: each resource with its actions (`*` means all of them)."""

from typing import Final

WORDS: Final = {
    "application": """
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
""",
    "organization": """
applications: detailedSummary get import periodSummaries post
auditLog: get
auditLogs: get
dashboard: delete patch sendReport
dashboards: get post
org: chargeDetails currentCard delete deviceCounts get inviteMember invoices modifyMember notebookMinuteCounts
    patch payloadCounts payloadCountsBreakdown pendingInvites removeMember revokeInvite transferResources
""",
    "instance": """
instance: deviceCounts generateReport get historicalSummaries notebookMinuteCounts patch payloadCounts
    payloadCountsBreakdown
instanceApiToken: delete get patch
instanceApiTokens: get post
instanceAuditLog: get
instanceAuditLogs: get
instanceCustomNode: delete errors get patch stats
instanceCustomNodes: get post
instanceMember: delete get patch
instanceMembers: get post
instanceNotificationRule: delete evaluate get logs patch
instanceNotificationRules: get post
instanceOrg: delete deviceCounts get notebookMinuteCounts patch payloadCounts payloadCountsBreakdown
instanceOrgInvite: delete get resendInvite
instanceOrgInvites: get post
instanceOrgMember: delete get patch
instanceOrgMembers: get post
instanceOrgs: get post
instanceSandbox: delete deviceCounts get notebookMinuteCounts payloadCounts payloadCountsBreakdown undelete
instanceSandboxes: get
""",
    "user": """
applicationTemplate: get
applicationTemplates: get getCategories getUniqueKeywords
instances: get
me: addRecentItem changePassword connectGithub delete deviceCounts disableTwoFactorAuth disconnectGithub
    enableTwoFactorAuth fetchRecentItems generateTwoFactorAuth get invite invites notebookMinuteCounts patch
    payloadCounts payloadCountsBreakdown refreshToken respondToInvite transferResources verifyEmail
orgs: get post
userApiToken: delete get patch
userApiTokens: get post
userOauthClient: delete get patch
userOauthClients: get post
userOauthToken: delete get patch
userOauthTokens: get post
""",
}
