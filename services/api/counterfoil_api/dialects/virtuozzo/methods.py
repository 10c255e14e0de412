"""API methods: their names, their scopes in the ledger, and their form in lists."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from counterfoil.core.refusals import BadScope
from counterfoil.core.scopes import missing, well_formed

PREFIX: Final = "virtuozzo."
"""The prefix of every method's scope; the method follows in small letters."""
_METHOD: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+){2}")
_READS: Final = ("get", "is", "has", "check", "find", "list", "read", "search")

_KNOWN: Final = """
users.account: GetUserInfo GetSSHKeys AddSSHKey DeleteSSHKey ChangeName
users.authentication: CreateToken DeleteTokens EditToken GetSessions GetTokenApiList GetTokenTemplates GetTokens
users.authentication: RegenerateToken Signout SignoutSessions
environment.control: AddEndpoint AddContainerEnvVars ApplyNodeGroupData AttachExtIp ChangeTopology CloneEnv
environment.control: CreateEnvironment DeleteEnv DeleteNode DetachEnv DetachExtIp ExecCmdByGroup ExecCmdById
environment.control: ExecDockerRunCmd FinishInstall GetActiveEngine GetAllSumStatByUid GetBasicEnvsInfo
environment.control: GetContainerEnvVars GetContainerEnvVarsByGroup GetContainerVolumes GetEndpoints GetEngineList
environment.control: GetEnvInfo GetEnvs GetNodeGroups GetNodeInfo GetNodeSSLCerts GetRegions GetSumStat GetTemplates
environment.control: MigrateEnv RedeployContainerById RedeployContainers RedeployContainersByGroup
environment.control: RemoveContainerEnvVars RemoveEndpoint ResetNodePassword RestartContainerById
environment.control: RestartContainersByGroup RestartNodeById RestartNodesByGroup SetCloudletsCountById
environment.control: SetContainerEnvVars SetContainerEnvVarsByGroup SetEnvDisplayName SetEnvGroup SetNodeDisplayName
environment.control: SleepEnv StartEnv StartServices StopEnv StopServices SwapExtIps
environment.binder: BindExtDomain GetExtDomains GetSSLCerts RemoveExtDomain SetExtDomain SwapExtDomains
environment.build: AddProject BuildProject DeleteProject EditProject GetProjectList
environment.deployment: DeployArchive GetArchives GetHooks SetHooks Undeploy Update
environment.export: ExportEnvironment ImportEnvironment
environment.file: AddMountPointByGroup AddMountPointById Copy Create Delete GetContainerVolumes GetList
environment.file: GetMountPoints Read Rename Replace Unpack Write
environment.jerror: GetJErrorList
environment.security: AddRule AddRules EditRule GetRules RemoveRules SetRuleEnabled
environment.trigger: AddTrigger DeleteTrigger EditTrigger GetTriggers SetTriggerEnabled
environment.vcs: CreateProject DeleteProject EditProject GetProject Update
environment.windows: RDP
billing.account: GetAccount GetAccountBillingHistoryByPeriod GetOwnerQuotas GetQuotas
development.scripting: Build CreateScript DeleteScript EditScript Eval GetScript GetScripts
marketplace.app: GetAddonList GetAppInfo GetList Install InstallAddon
marketplace.installation: ExecuteAction GetList Install Uninstall
marketplace.jps: GetApps Install Uninstall
storage.uploader: Upload
"""
"""The methods that clients call and templates name, by class; the platform has more."""


def _spelt() -> dict[str, str]:
    lines = (line.partition(": ") for line in _KNOWN.strip().splitlines())
    names = (f"{of}.{function}" for of, _, functions in lines for function in functions.split())
    return {PREFIX + name.lower(): name for name in names}


KNOWN: Final = _spelt()
"""The methods by their scopes."""


class Item(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A method in a list. By its name, a safe one changes nothing."""

    id: int
    method: str
    is_safe: bool
    is_collaboration_accessible: bool = False
    use_object_hash: bool = False


def scope_of(method: str) -> str:
    """Return the scope of a method, named in any letter case. Raises BadScope."""
    name = method.lower()
    if name.startswith("env."):
        name = f"environment.{name.removeprefix('env.')}"
    if not _METHOD.fullmatch(name) or not well_formed(PREFIX + name):
        raise BadScope(
            "A method is named by its group, class and function, such as environment.control.GetEnvs.", field="apiList"
        )
    return PREFIX + name


def scopes_of(named: Iterable[str], held: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the scopes of methods; the name of a scope in `held` means that scope."""
    return tuple(dict.fromkeys(name if name in held else scope_of(name) for name in named))


@lru_cache(maxsize=4096)
def item(scope: str) -> Item:
    """Return a scope as a method in a list; a scope of no method has its own name there."""
    method = KNOWN.get(scope) or scope.removeprefix(PREFIX)
    return Item(id=number(scope), method=method, is_safe=method.rpartition(".")[2].lower().startswith(_READS))


@lru_cache(maxsize=1024)
def items(scopes: tuple[str, ...]) -> tuple[Item, ...]:
    """Return all methods that a token or a template allows; of a branch such as virtuozzo.* the known ones."""
    branches = [scope for scope in scopes if scope.startswith(PREFIX) and scope.endswith(".*")]
    known = [scope for scope in KNOWN if branches and not missing(branches, (scope,))]
    return tuple(item(scope) for scope in dict.fromkeys((*(each for each in scopes if each not in branches), *known)))


def number(name: str) -> int:
    """Return an id of 31 bits, which is the same for a name in every list, process and version."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


def words(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the elements of lists: `a,b`, `a;b`, the JSON array ["a","b"], or Python's ['a', 'b']."""
    bare = (text.strip().removeprefix("[").removesuffix("]").replace(";", ",") for text in texts)
    elements = (element.strip(" \t\r\n'\"") for text in bare for element in text.split(","))
    return tuple(dict.fromkeys(element for element in elements if element))
