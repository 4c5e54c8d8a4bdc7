// The page: polls the status, and shows it. Everything else is in the modules that it uses.
import { Chart, currentLook } from "./chart";
import { ChosenJob, Line, imageRateLines, learningRateLines, lossLines, testedLines } from "./chart_data";
import { byId, element, setAttribute, setChildren, setClass, setText } from "./dom";
import { fetchStatus } from "./fetching";
import { duration, whole } from "./format";
import { makeJobTable } from "./job_table";
import { ClusterStatus } from "./messages";
import { News } from "./news";
import { MOST_JOBS, Selection } from "./selection";
import { makeServerTable } from "./server_table";
import { Stores } from "./stores";
import { startTheme, toggleTheme } from "./theme";
import { timelineOf } from "./timeline";
import { TimelineView } from "./timeline_view";
import { byTrouble, jobsInOrder, serverTrouble, workerTrouble } from "./trouble";
import { PARTS, makeWorkerTable } from "./worker_table";
import { Zoom } from "./zoom";

const TICK_MS = 250;

class Page {
  private status: ClusterStatus | null = null;
  private readonly news = new News(performance.now());
  private readonly selection = new Selection(location.hash);
  private readonly stores = new Stores(() => this.showCurves());
  private readonly zoom = new Zoom();
  private readonly settings = { smooth: false, logarithmic: false };
  private readonly jobs = makeJobTable((job) => this.choose(job));
  private readonly servers = makeServerTable();
  private readonly workers = makeWorkerTable();
  private readonly timeline = new TimelineView();
  private readonly charts: { chart: Chart; lines: (jobs: readonly ChosenJob[]) => Line[]; logarithmic: boolean }[];
  private readonly search = byId<HTMLInputElement>("worker-filter");
  private timer = 0;
  private polling = false;

  constructor() {
    const toggleLog = (): void => byId("log").click();
    const chart = (id: string, title: string, unit: string, empty: string): Chart => new Chart(id, title, unit, empty, this.zoom, toggleLog);
    this.charts = [
      { chart: chart("chart-loss", "Loss: training, and tests beside it", "", "No iteration is done yet."), lines: (jobs) => lossLines(jobs, this.settings), logarithmic: true },
      { chart: chart("chart-tests", "Tests: accuracy and other outputs", "", "No test has been made yet."), lines: testedLines, logarithmic: false },
      { chart: chart("chart-rate", "Speed", "images/s", "Not known yet."), lines: imageRateLines, logarithmic: false },
      { chart: chart("chart-lr", "Learning rate", "", "No iteration is done yet."), lines: learningRateLines, logarithmic: true },
    ];
    byId("jobs-place").append(this.jobs.node);
    byId("charts").append(...this.charts.map((entry) => entry.chart.node));
    byId("workers-place").append(this.workers.node);
    byId("servers-place").append(this.servers.node);
    byId("timeline-place").append(this.timeline.node);
    byId("split-legend").append(...[...PARTS, ["idle", "idle"] as const].map(([part, words]) => element("li", "", element("i", part), ` ${words}`)));
    this.zoom.onChange(() => this.showZoom());
    this.bind();
    startTheme(() => this.showCurves());
    setInterval(() => this.showAge(), TICK_MS);
    void this.poll();
  }

  private bind(): void {
    const press = (id: string, action: () => void): void => byId(id).addEventListener("click", action);
    const toggle = (id: string, name: "smooth" | "logarithmic"): void => press(id, () => {
      this.settings[name] = !this.settings[name];
      byId(id).setAttribute("aria-pressed", String(this.settings[name]));
      this.showCurves();
    });
    const help = byId<HTMLDialogElement>("help");
    press("zoom-in", () => this.zoom.scale(0.5));
    press("zoom-out", () => this.zoom.scale(2));
    press("zoom-reset", () => this.zoom.set(null));
    toggle("log", "logarithmic");
    toggle("smooth", "smooth");
    const changeTheme = (): void => {
      toggleTheme();
      this.showCurves();
    };
    press("theme", changeTheme);
    press("help-open", () => help.showModal());
    press("help-close", () => help.close());
    this.search.addEventListener("input", () => this.showWorkers());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.pollSoon(0);
    });
    const keys: Record<string, () => void> = {
      "?": () => help.showModal(), "/": () => this.search.focus(), t: changeTheme, l: () => byId("log").click(), s: () => byId("smooth").click(),
    };
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
      const action = keys[event.key];
      if (typing || help.open || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || action === undefined) return;
      event.preventDefault();
      action();
    });
  }

  private pollSoon(delay: number): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.poll(), delay);
  }

  private async poll(): Promise<void> {
    if (this.polling) return;
    this.polling = true;
    let status: ClusterStatus | null = null;
    try {
      status = await fetchStatus();
      this.news.heard(performance.now());
    } catch {
      // Nobody answers, or not in time; the banner says so.
      this.news.failed();
    }
    this.polling = false;
    this.pollSoon(this.news.delay());
    if (status !== null) {
      this.status = status;
      const begun = performance.now();
      this.show(status);
      const took = performance.now() - begun;
      setText(byId("took"), `shown in ${took.toFixed(0)} ms`);
      byId("took").dataset["ms"] = took.toFixed(2);
    }
    this.showAge();
  }

  // Whether what is shown is current.
  private showAge(): void {
    const now = performance.now();
    const fresh = this.news.fresh(now);
    const banner = byId("banner");
    if (banner.hidden !== fresh) banner.hidden = fresh;
    setClass(document.body, "stale", !fresh);
    if (!fresh) setText(byId("banner-age"), duration(this.news.age(now) / 1000));
    setText(byId("age"), this.status === null ? "" : fresh ? "live" : "not current");
  }

  private show(status: ClusterStatus): void {
    const title = status.problems.length === 0 ? "Samovar" : `(${status.problems.length}) Samovar`;
    if (document.title !== title) document.title = title;
    setText(byId("coordinator"), status.coordinator === "" ? "no coordinator is known" : `coordinator ${status.coordinator}`);
    setText(byId("facts"), `version ${status.version}, up ${duration(status.uptimeSeconds)}, epoch ${status.epoch}; ` +
        `${whole(status.servers.length)} servers, ${whole(status.workers.length)} workers`);
    this.showProblems(status);
    // Another server than the coordinator knows itself alone.
    const alone = status.servers.length === 1 && status.coordinator !== "" && status.servers[0]!.address !== status.coordinator;
    byId("alone").hidden = !alone;
    for (const id of ["jobs", "curves", "workers"]) byId(id).hidden = alone;
    setText(byId("alone-coordinator"), status.coordinator);
    this.showJobs(status);
    this.servers.update(byTrouble(status.servers, serverTrouble, (server) => server.address));
    this.showWorkers();
    this.showTimeline();
    void this.stores.refresh(this.chosen(status).map(({ status: job }) => job), status.epoch, performance.now());
    this.showCurves();
  }

  private showProblems({ problems }: ClusterStatus): void {
    const count = problems.length === 0 ? "Nothing is known to be wrong" : problems.length === 1 ? "1 problem" : `${problems.length} problems, the worst first`;
    setText(byId("problem-count"), count);
    setClass(byId("problems"), "bad", problems.length > 0);
    const list = byId("problem-list");
    setChildren(list, problems.map((_, i) => list.children[i] ?? element("li")));
    problems.forEach((problem, i) => setText(list.children[i]!, problem));
  }

  private chosen(status: ClusterStatus): ChosenJob[] {
    const jobs = jobsInOrder(status);
    return this.selection.of(jobs).map((name) => ({ status: jobs.find((job) => job.id === name)!, curve: this.stores.curves.get(name)?.value }));
  }

  private choose(job: string): void {
    if (this.status === null) return;
    const done = this.selection.toggle(job, jobsInOrder(this.status));
    history.replaceState(null, "", this.selection.hash() || location.pathname);
    setText(byId("choice-note"), done ? "" : `No more than ${MOST_JOBS} jobs are compared at a time.`);
    this.zoom.set(null);
    this.show(this.status);
  }

  private showJobs(status: ClusterStatus): void {
    const jobs = jobsInOrder(status);
    const chosen = this.selection.of(jobs);
    this.jobs.update(jobs.map((job) => ({ job, place: chosen.indexOf(job.id), unixMs: status.unixMs })));
    byId("no-jobs").hidden = jobs.length > 0;
  }

  private showWorkers(): void {
    if (this.status === null) return;
    const { workers, unixMs } = this.status;
    const wanted = this.search.value.trim().toLowerCase();
    const found = wanted === "" ? workers : workers.filter((worker) =>
        [worker.name, worker.host, worker.state, worker.lastError].some((text) => text.toLowerCase().includes(wanted)));
    const sorted = byTrouble(found, (worker) => workerTrouble(worker, unixMs), (worker) => worker.name);
    this.workers.update(sorted.map((worker) => ({ worker, unixMs })));
    const troubled = workers.filter((worker) => workerTrouble(worker, unixMs) !== "").length;
    const rate = workers.reduce((sum, worker) => sum + worker.imagesPerSecond, 0);
    setText(byId("worker-count"), workers.length === 0 ? "No worker has joined." :
        `${whole(workers.length)} workers, ${whole(rate)} images/s together, ${whole(troubled)} with trouble` + (wanted === "" ? "" : `; ${whole(found.length)} fit the filter`));
  }

  private showTimeline(): void {
    if (this.status === null) return;
    const events = new Map([...this.stores.events].map(([job, kept]) => [job, kept.value]));
    this.timeline.update(timelineOf(this.status, events), this.status.unixMs);
  }

  private showCurves(): void {
    if (this.status === null) return;
    const jobs = this.chosen(this.status);
    const look = currentLook();
    const lines = this.charts.map((entry) => entry.lines(jobs));
    let [min, max] = [Infinity, -Infinity];
    for (const line of lines.flat()) {
      if (line.xs.length === 0) continue;
      min = Math.min(min, line.xs[0]!);
      max = Math.max(max, line.xs[line.xs.length - 1]!);
    }
    if (max >= min) this.zoom.setFull({ min, max });
    this.charts.forEach(({ chart, logarithmic }, i) => chart.update(lines[i]!, logarithmic && this.settings.logarithmic, look));
    setText(byId("curve-note"), jobs.length === 0 ? "Choose jobs in the table above." : "");
    this.showTimeline();
  }

  private showZoom(): void {
    for (const { chart } of this.charts) chart.redraw();
    const { min, max } = this.zoom.shown();
    setText(byId("zoom-note"), this.zoom.zoomed() ? `iterations ${whole(min)} to ${whole(max)}` : "all iterations");
    setAttribute(byId("zoom-reset"), "disabled", this.zoom.zoomed() ? null : "");
  }
}

new Page();
