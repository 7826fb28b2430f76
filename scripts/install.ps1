# Installs sealift on Windows: downloads (or copies) one file, checks its SHA-256 against the signed list, puts it in place.
# Needs PowerShell 5.1 or later, and openssl 3 to check the Ed25519 signature of the list.
[CmdletBinding()]
param(
  [string]$From = '',      # release page, mirror, or a folder with the files of one release
  [string]$Version = '',   # version to install; default: the latest of the page
  [string]$Prefix = "$env:LOCALAPPDATA\Programs\sealift",
  [string]$Key = '',       # public key (PEM) of the publisher, instead of the built-in one
  [switch]$Force,
  [switch]$Quiet
)
$ErrorActionPreference = 'Stop'
# Filled in by scripts/release.ts.
$ReleaseUrl = ''
$ReleaseKey = ''

function Fail([string]$Message, [string]$Hint = '') {
  [Console]::Error.WriteLine("sealift install: error: $Message")
  if ($Hint) { [Console]::Error.WriteLine("hint: $Hint") }
  exit 1
}
function Say([string]$Message) { if (-not $Quiet) { [Console]::Error.WriteLine("sealift install: $Message") } }

if (-not $From) { $From = $ReleaseUrl }
if (-not $From) { Fail 'no release page is known' 'Name one, or a folder, with -From' }
if (-not [Environment]::Is64BitOperatingSystem) { Fail 'no build for 32-bit systems' }
$Web = $From -match '^https?://'
$Work = Join-Path ([IO.Path]::GetTempPath()) ("sealift-" + [Guid]::NewGuid().ToString('N'))
New-Item -ItemType Directory -Path $Work | Out-Null
try {
  function Fetch([string]$Name) {
    $Out = Join-Path $Work ([IO.Path]::GetFileName($Name))
    if ($Web) {
      try { Invoke-WebRequest -UseBasicParsing -Uri ("{0}/{1}" -f $From.TrimEnd('/'), $Name) -OutFile $Out }
      catch { Fail "cannot download $From/$Name" }
    } else {
      $Source = Join-Path $From $Name
      if (-not (Test-Path $Source)) { Fail "$Source does not exist" }
      Copy-Item $Source $Out
    }
    return $Out
  }
  $Folder = ''
  $Paged = $Web -or -not (Test-Path (Join-Path $From 'SHA256SUMS'))
  if ($Paged) {
    if (-not $Version) { $Version = (Get-Content (Fetch 'latest') -Raw).Trim() }
    if ($Version -notmatch '^v?[0-9A-Za-z.+-]+$') { Fail "`"$Version`" is not a version" }
    $Folder = "v$($Version.TrimStart('v'))/"
  }
  $Sums = Fetch "${Folder}SHA256SUMS"
  $Signature = Fetch "${Folder}SHA256SUMS.sig"
  $Pub = Join-Path $Work 'release.pub'
  if ($Key) { Copy-Item $Key $Pub }
  elseif ($ReleaseKey) { Set-Content -Path $Pub -Value "-----BEGIN PUBLIC KEY-----`n$ReleaseKey`n-----END PUBLIC KEY-----" }
  else { Fail 'no public key is known' "Name the publisher's key with -Key" }
  if (-not (Get-Command openssl -ErrorAction SilentlyContinue)) { Fail 'openssl is needed to check the signature' 'Install openssl 3 or later' }
  & openssl pkeyutl -verify -pubin -inkey $Pub -rawin -in $Sums -sigfile $Signature *> $null
  if ($LASTEXITCODE -ne 0) { Fail "the signature of SHA256SUMS does not match the publisher's key" 'Do not use these files' }
  # The version is part of the signed file name, so an old release cannot be served as a new one.
  $Wanted = if ($Version) { [Regex]::Escape($Version.TrimStart('v')) } else { '[0-9][0-9A-Za-z.+-]*' }
  $Line = Select-String -Path $Sums -Pattern "^([0-9a-f]{64}) [ *](sealift-$Wanted-windows-x64\.exe)$" | Select-Object -First 1
  if (-not $Line) { Fail "the release has no sealift $Version for windows-x64" }
  $File = $Line.Matches[0].Groups[2].Value
  Say "getting $File"
  $Binary = Fetch "$Folder$File"
  $Actual = (Get-FileHash -Algorithm SHA256 $Binary).Hash.ToLowerInvariant()
  if ($Actual -ne $Line.Matches[0].Groups[1].Value) { Fail "$File does not match its SHA-256" 'The download is damaged or was changed; try again' }
  $Target = Join-Path $Prefix 'bin\sealift.exe'
  if ((Test-Path $Target) -and -not $Force -and (Get-FileHash $Target).Hash -ne (Get-FileHash $Binary).Hash) {
    Fail "$Target exists and is another version" 'Use -Force to replace it'
  }
  New-Item -ItemType Directory -Force -Path (Split-Path $Target) | Out-Null
  Copy-Item $Binary "$Target.new"
  Move-Item -Force "$Target.new" $Target
  Say "installed $(& $Target --version) as $Target"
} finally {
  Remove-Item -Recurse -Force $Work
}
