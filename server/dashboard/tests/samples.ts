// Messages for tests: empty ones, with what matters put in.
import { ClusterStatus, JobStatus, ServerStatus, WorkerStatus, readClusterStatus, readJobStatus, readServerStatus, readWorkerStatus } from "../source/messages";
import { Reader } from "../source/wire";

export const jobWith = (fields: Partial<JobStatus>): JobStatus => ({ ...readJobStatus(new Reader({})), ...fields });
export const serverWith = (fields: Partial<ServerStatus>): ServerStatus => ({ ...readServerStatus(new Reader({})), ...fields });
export const workerWith = (fields: Partial<WorkerStatus>): WorkerStatus => ({ ...readWorkerStatus(new Reader({})), ...fields });
export const statusWith = (fields: Partial<ClusterStatus>): ClusterStatus => ({ ...readClusterStatus(new Reader({})), ...fields });
