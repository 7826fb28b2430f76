/** What a target accepts, in the words of those who ask: markers and tags for locks, a platform for uv, `Requires-Python` of wheels. */
import { type Context, FormatError } from "../../base/mod.ts";
import type { PythonContext } from "../index/index-settings.ts";
import type { LockTarget } from "../lock/locked.ts";
import { markerEnvironment } from "../pep/marker.ts";
import { satisfiesPython } from "../pep/specifier.ts";
import { compatibleTags, platformTags, rankTags } from "../pep/tags.ts";
import { findTool } from "../resolve/tools.ts";
import { type Resolver, uvPlatform } from "../resolve/uv.ts";
import type { PythonChoice } from "../runtime/choose.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { macosFloor, systemOf, type Target } from "../runtime/target.ts";
import type { StagedWheel } from "../wheel/site.ts";

/** For one choice of Python: who resolves and builds, and for what. */
export function resolverFor(
  ctx: PythonContext,
  { target, host }: PythonChoice,
  runtime: Runtime,
): { resolver: Resolver; lockTarget: LockTarget } {
  const system = systemOf(target, targetGlibc(target, runtime), ctx.env);
  const tags = rankTags(
    compatibleTags({
      implementation: "cpython",
      version: target.minor,
      abiFlags: target.abiFlags,
      platforms: platformTags(system),
    }),
  );
  const resolver: Resolver = {
    ctx: { ...ctx, env: platformEnv(ctx, target) },
    uv: () => findTool(ctx, "uv"),
    python: host,
    pythonVersion: target.version,
    platform: uvPlatform(system),
    tags,
  };
  const { version: pythonVersion } = target;
  return { resolver, lockTarget: { markers: markerEnvironment(target), pythonVersion, tags } };
}

/** uv resolves for the macOS that this variable names, and so do the tags. */
function platformEnv(ctx: Context, target: Target): Context["env"] {
  if (target.platform !== "darwin") return ctx.env;
  return { ...ctx.env, MACOSX_DEPLOYMENT_TARGET: macosFloor(ctx.env).join(".") };
}

/** The C library that wheels may ask for: what the runtime needs anyway, and no less than 2.28, which most wheels are built for. */
function targetGlibc(target: Target, runtime: Runtime): [number, number] {
  if (target.libc.name !== "glibc") return [0, 0];
  const floor = Math.max(runtime.glibc?.[1] ?? 0, 28);
  return [2, Math.min(floor, Math.max(target.libc.version[1], runtime.glibc?.[1] ?? 0))];
}

/** `WHEEL_PYTHON` for a wheel that says it does not run on the target's version. */
export function checkRequirements(wheels: StagedWheel[], target: Target): void {
  for (const wheel of wheels) {
    if (wheel.requiresPython === undefined || satisfiesPython(target.version, wheel.requiresPython))
      continue;
    throw new FormatError(
      "WHEEL_PYTHON",
      `${wheel.file} requires Python ${wheel.requiresPython}, and the target has ${target.version}`,
      {
        hint: "Choose another Python with `--python`, or another version of the package.",
        details: { file: wheel.file },
      },
    );
  }
}
