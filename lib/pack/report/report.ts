/** What is said about finished packages. Loaded when it is asked for, because it brings the Python room along. */
export { type DependencyReport, dependencyReport, type WhyReport } from "./dependencies.ts";
export { type SizeGroup, type SizePart, type SizeReport, sizeReport } from "./sizes.ts";
