// The messages that the page shows, with the units of proto/samovar/v1/status.proto and job.proto.
import { Reader } from "./wire";

export interface NamedValue {
  name: string;
  value: number;
  lossWeight: number;
}

export interface TestReport {
  iteration: number;
  net: number;
  outputs: NamedValue[];
}

export interface SnapshotStatus {
  iteration: number;
  unixMs: number;
  exportedTo: string;
}

export interface JobStatus {
  id: string;
  // "RUNNING"
  state: string;
  cause: string;
  iteration: number;
  maxIter: number;
  completedIterations: number;
  loss: number;
  smoothedLoss: number;
  learningRate: number;
  imagesPerSecond: number;
  meanImagesPerSecond: number;
  etaSeconds: number;
  seconds: number;
  samples: number;
  resumedFrom: number;
  workers: number;
  weight: number;
  submitter: string;
  recoveries: number;
  repeatedIterations: number;
  skippedIterations: number;
  snapshotError: string;
  exportError: string;
  queuePosition: number;
  submittedUnixMs: number;
  startedUnixMs: number;
  endedUnixMs: number;
  tests: TestReport[];
  snapshots: SnapshotStatus[];
}

export interface ServerFigures {
  queuedTasks: number;
  chunks: number;
  parameterBytes: number;
  maxParameterBytes: number;
  messageBytes: number;
  maxMessageBytes: number;
  snapshots: number;
  failedSnapshots: number;
  // NaN: there is none.
  snapshotAgeSeconds: number;
  snapshotBytes: number;
  snapshotSeconds: number;
  diskFreeBytes: number;
  diskBytes: number;
  residentBytes: number;
  lastError: string;
  lastErrorAgeSeconds: number;
}

export interface ServerStatus {
  address: string;
  host: string;
  version: string;
  applyThreads: number;
  silentSeconds: number;
  gone: boolean;
  rateSeconds: number;
  pushesPerSecond: number;
  pullsPerSecond: number;
  receivedBytesPerSecond: number;
  sentBytesPerSecond: number;
  applyLoad: number;
  joinedUnixMs: number;
  figures: ServerFigures;
}

export interface WorkerStatus {
  id: number;
  name: string;
  host: string;
  version: string;
  threads: number;
  isa: string;
  silentSeconds: number;
  leases: string[];
  state: string;
  rateSeconds: number;
  imagesPerSecond: number;
  shares: Shares;
  cpuShare: number;
  straggler: string;
  lastError: string;
  lastErrorUnixMs: number;
  errors: number;
  joinedUnixMs: number;
  residentBytes: number;
  cacheBytes: number;
  staleness: Staleness;
}

// Of the last `rateSeconds`, from 0 to 1 each; what is missing to 1 is idle.
export interface Shares {
  compute: number;
  feed: number;
  push: number;
  pull: number;
  prepare: number;
  test: number;
}

// In updates of others; of no pushes: not known.
export interface Staleness {
  p50: number;
  p99: number;
  max: number;
  pushes: number;
}

export interface LostMember {
  name: string;
  host: string;
  reason: string;
  lostUnixMs: number;
  times: number;
}

export interface ClusterStatus {
  version: string;
  coordinator: string;
  epoch: number;
  uptimeSeconds: number;
  unixMs: number;
  problems: string[];
  jobs: JobStatus[];
  servers: ServerStatus[];
  workers: WorkerStatus[];
  lost: LostMember[];
}

export interface HistoryBlock {
  iterations: number[];
  seconds: number[];
  losses: number[];
  learningRates: number[];
}

export interface JobEvent {
  number: number;
  unixMs: number;
  // "TEST"
  kind: string;
  text: string;
  repeats: number;
  lastUnixMs: number;
}

export const readNamedValue = (r: Reader): NamedValue =>
  ({ name: r.text("name"), value: r.number("value"), lossWeight: r.number("loss_weight") });

export const readTestReport = (r: Reader): TestReport =>
  ({ iteration: r.number("iteration"), net: r.number("net"), outputs: r.messages("outputs", readNamedValue) });

export const readSnapshotStatus = (r: Reader): SnapshotStatus =>
  ({ iteration: r.number("iteration"), unixMs: r.number("unix_ms"), exportedTo: r.text("exported_to") });

export const readJobStatus = (r: Reader): JobStatus => ({
  id: r.text("job_id"),
  state: r.text("state").replace("JOB_STATE_", ""),
  cause: r.text("cause"),
  iteration: r.number("iteration"),
  maxIter: r.number("max_iter"),
  completedIterations: r.number("completed_iterations"),
  loss: r.number("loss"),
  smoothedLoss: r.number("smoothed_loss"),
  learningRate: r.number("learning_rate"),
  imagesPerSecond: r.number("images_per_second"),
  meanImagesPerSecond: r.number("mean_images_per_second"),
  etaSeconds: r.number("eta_seconds"),
  seconds: r.number("seconds"),
  samples: r.number("samples"),
  resumedFrom: r.number("resumed_from"),
  workers: r.number("workers"),
  weight: r.number("weight"),
  submitter: r.text("submitter"),
  recoveries: r.number("recoveries"),
  repeatedIterations: r.number("repeated_iterations"),
  skippedIterations: r.number("skipped_iterations"),
  snapshotError: r.text("snapshot_error"),
  exportError: r.text("export_error"),
  queuePosition: r.number("queue_position"),
  submittedUnixMs: r.number("submitted_unix_ms"),
  startedUnixMs: r.number("started_unix_ms"),
  endedUnixMs: r.number("ended_unix_ms"),
  tests: r.messages("tests", readTestReport),
  snapshots: r.messages("snapshot_details", readSnapshotStatus),
});

export const readServerFigures = (r: Reader): ServerFigures => ({
  queuedTasks: r.number("queued_tasks"),
  chunks: r.number("chunks"),
  parameterBytes: r.number("parameter_bytes"),
  maxParameterBytes: r.number("max_parameter_bytes"),
  messageBytes: r.number("message_bytes"),
  maxMessageBytes: r.number("max_message_bytes"),
  snapshots: r.number("snapshots"),
  failedSnapshots: r.number("failed_snapshots"),
  snapshotAgeSeconds: r.has("snapshot_age_seconds") ? r.number("snapshot_age_seconds") : NaN,
  snapshotBytes: r.number("snapshot_bytes"),
  snapshotSeconds: r.number("snapshot_seconds"),
  diskFreeBytes: r.number("disk_free_bytes"),
  diskBytes: r.number("disk_bytes"),
  residentBytes: r.number("resident_bytes"),
  lastError: r.text("last_error"),
  lastErrorAgeSeconds: r.number("last_error_age_seconds"),
});

export const readServerStatus = (r: Reader): ServerStatus => ({
  address: r.text("address"),
  host: r.text("host"),
  version: r.text("version"),
  applyThreads: r.number("apply_threads"),
  silentSeconds: r.number("silent_seconds"),
  gone: r.flag("gone"),
  rateSeconds: r.number("rate_seconds"),
  pushesPerSecond: r.number("pushes_per_second"),
  pullsPerSecond: r.number("pulls_per_second"),
  receivedBytesPerSecond: r.number("received_bytes_per_second"),
  sentBytesPerSecond: r.number("sent_bytes_per_second"),
  applyLoad: r.number("apply_load"),
  joinedUnixMs: r.number("joined_unix_ms"),
  figures: r.message("figures", readServerFigures),
});

interface WorkerFigures {
  residentBytes: number;
  cacheBytes: number;
  staleness: Staleness;
}

export const readWorkerFigures = (r: Reader): WorkerFigures => ({
  residentBytes: r.number("resident_bytes"),
  cacheBytes: r.number("cache_bytes"),
  staleness: { p50: r.number("staleness_p50"), p99: r.number("staleness_p99"), max: r.number("staleness_max"),
               pushes: r.number("staleness_pushes") },
});

export const readWorkerStatus = (r: Reader): WorkerStatus => ({
  id: r.number("worker_id"),
  name: r.text("name"),
  host: r.text("host"),
  version: r.text("version"),
  threads: r.number("threads"),
  isa: r.text("isa"),
  silentSeconds: r.number("silent_seconds"),
  leases: r.texts("leases"),
  state: r.text("state"),
  rateSeconds: r.number("rate_seconds"),
  imagesPerSecond: r.number("images_per_second"),
  shares: { compute: r.number("compute_share"), feed: r.number("feed_wait_share"), push: r.number("push_wait_share"),
            pull: r.number("pull_wait_share"), prepare: r.number("prepare_share"), test: r.number("test_share") },
  cpuShare: r.number("cpu_share"),
  straggler: r.text("straggler"),
  lastError: r.text("last_error"),
  lastErrorUnixMs: r.number("last_error_unix_ms"),
  errors: r.number("errors"),
  joinedUnixMs: r.number("joined_unix_ms"),
  ...r.message("figures", readWorkerFigures),
});

export const readLostMember = (r: Reader): LostMember => ({
  name: r.text("name"), host: r.text("host"), reason: r.text("reason"), lostUnixMs: r.number("lost_unix_ms"), times: r.number("times"),
});

export const readClusterStatus = (r: Reader): ClusterStatus => ({
  version: r.text("version"),
  coordinator: r.text("coordinator"),
  epoch: r.number("epoch"),
  uptimeSeconds: r.number("uptime_seconds"),
  unixMs: r.number("unix_ms"),
  problems: r.texts("problems"),
  jobs: r.messages("jobs", readJobStatus),
  servers: r.messages("servers", readServerStatus),
  workers: r.messages("workers", readWorkerStatus),
  lost: r.messages("lost", readLostMember),
});

export const readHistoryBlock = (r: Reader): HistoryBlock => ({
  iterations: r.numbers("iterations"), seconds: r.numbers("seconds"), losses: r.numbers("losses"),
  learningRates: r.numbers("learning_rates"),
});

export const readJobEvent = (r: Reader): JobEvent => ({
  number: r.number("number"), unixMs: r.number("unix_ms"), kind: r.text("kind").replace("KIND_", ""), text: r.text("text"),
  repeats: r.number("repeats"), lastUnixMs: r.number("last_unix_ms"),
});
