"""The methods that clients call and templates name, by group and class; the platform has more."""

from typing import Final

_METHODS: Final = {
    "users.account": "GetUserInfo GetSSHKeys AddSSHKey DeleteSSHKey ChangeName",
    "users.authentication": (
        "CreateToken DeleteTokens EditToken GetSessions GetTokenApiList GetTokenTemplates GetTokens RegenerateToken "
        "Signout SignoutSessions"
    ),
    "environment.control": (
        "AddEndpoint AddContainerEnvVars ApplyNodeGroupData AttachExtIp ChangeTopology CloneEnv CreateEnvironment "
        "DeleteEnv DeleteNode DetachEnv DetachExtIp ExecCmdByGroup ExecCmdById ExecDockerRunCmd FinishInstall "
        "GetActiveEngine GetAllSumStatByUid GetBasicEnvsInfo GetContainerEnvVars GetContainerEnvVarsByGroup "
        "GetContainerVolumes GetEndpoints GetEngineList GetEnvInfo GetEnvs GetNodeGroups GetNodeInfo GetNodeSSLCerts "
        "GetRegions GetSumStat GetTemplates MigrateEnv RedeployContainerById RedeployContainers "
        "RedeployContainersByGroup RemoveContainerEnvVars RemoveEndpoint ResetNodePassword RestartContainerById "
        "RestartContainersByGroup RestartNodeById RestartNodesByGroup SetCloudletsCountById SetContainerEnvVars "
        "SetContainerEnvVarsByGroup SetEnvDisplayName SetEnvGroup SetNodeDisplayName SleepEnv StartEnv StartServices "
        "StopEnv StopServices SwapExtIps"
    ),
    "environment.binder": "BindExtDomain GetExtDomains GetSSLCerts RemoveExtDomain SetExtDomain SwapExtDomains",
    "environment.build": "AddProject BuildProject DeleteProject EditProject GetProjectList",
    "environment.deployment": "DeployArchive GetArchives GetHooks SetHooks Undeploy Update",
    "environment.export": "ExportEnvironment ImportEnvironment",
    "environment.file": (
        "AddMountPointByGroup AddMountPointById Copy Create Delete GetContainerVolumes GetList GetMountPoints Read "
        "Rename Replace Unpack Write"
    ),
    "environment.jerror": "GetJErrorList",
    "environment.security": "AddRule AddRules EditRule GetRules RemoveRules SetRuleEnabled",
    "environment.trigger": "AddTrigger DeleteTrigger EditTrigger GetTriggers SetTriggerEnabled",
    "environment.vcs": "CreateProject DeleteProject EditProject GetProject Update",
    "environment.windows": "RDP",
    "billing.account": "GetAccount GetAccountBillingHistoryByPeriod GetOwnerQuotas GetQuotas",
    "development.scripting": "Build CreateScript DeleteScript EditScript Eval GetScript GetScripts",
    "marketplace.app": "GetAddonList GetAppInfo GetList Install InstallAddon",
    "marketplace.installation": "ExecuteAction GetList Install Uninstall",
    "marketplace.jps": "GetApps Install Uninstall",
    "storage.uploader": "Upload",
}
NAMES: Final = tuple(f"{of}.{function}" for of, functions in _METHODS.items() for function in functions.split())
"""Such as users.authentication.CreateToken."""
