// The table of servers: traffic, queue, snapshots.
import { NONE, bytes, duration, percent, rate, whole } from "./format";
import { ServerStatus } from "./messages";
import { CellText, Table } from "./table";
import { QUIET_SECONDS, serverTrouble } from "./trouble";

// Rates of a server that is silent are not known.
const moves = (server: ServerStatus): boolean => server.rateSeconds > 0 && server.silentSeconds <= QUIET_SECONDS;

export function heardText(silentSeconds: number): CellText {
  return { text: `${duration(silentSeconds)} ago`, bad: silentSeconds > QUIET_SECONDS };
}

export function trafficText(server: ServerStatus): CellText {
  if (!moves(server)) return { text: NONE };
  return { text: `in ${bytes(server.receivedBytesPerSecond)}/s`, note: `out ${bytes(server.sentBytesPerSecond)}/s` };
}

export function queueText(server: ServerStatus): CellText {
  const { queuedTasks, messageBytes, maxMessageBytes } = server.figures;
  if (server.silentSeconds > QUIET_SECONDS) return { text: NONE };
  const of = maxMessageBytes > 0 ? ` of ${bytes(maxMessageBytes)}` : "";
  return { text: `${whole(queuedTasks)} ${queuedTasks === 1 ? "task" : "tasks"}`, note: `messages ${bytes(messageBytes)}${of}` };
}

export function snapshotsText({ figures }: ServerStatus): CellText {
  const failed = figures.failedSnapshots > 0 ? `, ${whole(figures.failedSnapshots)} failed` : "";
  if (Number.isNaN(figures.snapshotAgeSeconds)) return { text: `none yet${failed}`, bad: failed !== "" };
  return { text: `${duration(figures.snapshotAgeSeconds)} ago${failed}`,
           note: `${bytes(figures.snapshotBytes)} in ${duration(figures.snapshotSeconds)}` };
}

function diskText(server: ServerStatus): CellText {
  const { diskFreeBytes, diskBytes } = server.figures;
  if (diskBytes === 0) return { text: NONE };
  return { text: `${bytes(diskFreeBytes)} free`, note: `of ${bytes(diskBytes)}`, bad: serverTrouble(server) === "disk full" };
}

function errorText({ figures }: ServerStatus): CellText {
  if (figures.lastError === "") return { text: "none" };
  return { text: figures.lastError, note: `${duration(figures.lastErrorAgeSeconds)} ago`, bad: figures.lastErrorAgeSeconds < 60 };
}

export function makeServerTable(): Table<ServerStatus> {
  return new Table<ServerStatus>("Servers, those with trouble first", "servers", [
    { head: "Server", cell: (server) => ({ text: server.address, note: server.host }) },
    { head: "Traffic", title: "Messages on workers' streams, of the last 10 seconds", numeric: true, cell: trafficText },
    { head: "Chunks", title: "Gradients applied and weights sent, of the last 10 seconds", numeric: true, cell: (server) => moves(server) ?
        { text: `${rate(server.pushesPerSecond, "pushes/s")}`, note: `${rate(server.pullsPerSecond, "pulls/s")}` } : { text: NONE } },
    { head: "Load", title: "Of the threads that apply gradients", numeric: true, cell: (server) => moves(server) ?
        { text: percent(server.applyLoad / Math.max(1, server.applyThreads)), note: `of ${server.applyThreads} apply threads` } : { text: NONE } },
    { head: "Queue", numeric: true, cell: queueText },
    { head: "Parameters", numeric: true, cell: ({ figures }) => ({ text: bytes(figures.parameterBytes),
        note: figures.maxParameterBytes > 0 ? `of ${bytes(figures.maxParameterBytes)}` : "" }) },
    { head: "Last snapshot", numeric: true, cell: snapshotsText },
    { head: "Disk", numeric: true, cell: diskText },
    { head: "Last error", wide: true, cell: errorText },
    { head: "Heard", numeric: true, cell: (server) => heardText(server.silentSeconds) },
  ], (server) => server.address, (server) => serverTrouble(server) !== "");
}
