// The worker's portal: my tasks, one task at a time in a frame of its own origin, drafts, time, own numbers.
"use strict";
(() => {
  const TEXTS = {
    en: {
      myTasks: "My tasks", answers: "Answers sent", median: "Median time", available: "Tasks waiting", start: "Start",
      continue: "Continue", noTasks: "No tasks now", noJobs: "There is nothing to label at the moment. This page looks for new tasks by itself.",
      skip: "Skip", skipHint: "You don't get this task again (Alt+S)", giveBack: "Return",
      giveBackHint: "Put the task back; you may get it again (Alt+R)", language: "Language", theme: "Light or dark",
      task: "Task", time: "Time on this task: ", left: "{0} left", waiting: "{0} waiting", done: "{0} sent by you",
      limit: "{0} per task", sent: "Sent.", skipped: "Skipped.", returned: "Returned.", jobDone: "No further tasks in this job for now.",
      timeUp: "The time for this task is over; it went back.", unreachable: "The portal does not answer. Is it still running?",
      draftFull: "This browser has no room for the draft; it would not survive a reload.", answer: "Answer", close: "Close",
      seconds: "{0} s", minutes: "{0} min", hours: "{0} h",
    },
    ja: {
      myTasks: "タスク一覧", answers: "送信した回答", median: "所要時間の中央値", available: "待っているタスク", start: "始める",
      continue: "続ける", noTasks: "タスクなし", noJobs: "現在、ラベル付けするものはありません。新しいタスクは自動で表示されます。",
      skip: "スキップ", skipHint: "このタスクは再び割り当てられません (Alt+S)", giveBack: "返す",
      giveBackHint: "タスクを戻します。再び割り当てられることがあります (Alt+R)", language: "言語", theme: "明るい・暗い表示",
      task: "タスク", time: "このタスクの経過時間: ", left: "残り {0}", waiting: "待ち {0} 件", done: "送信済み {0} 件",
      limit: "1件の制限時間 {0}", sent: "送信しました。", skipped: "スキップしました。", returned: "返しました。", jobDone: "このジョブのタスクは今のところ以上です。",
      timeUp: "制限時間が過ぎたため、タスクは戻されました。", unreachable: "ポータルが応答しません。起動しているか確認してください。",
      draftFull: "ブラウザーに空きがなく、下書きを保存できません。再読み込みすると失われます。", answer: "回答", close: "閉じる",
      seconds: "{0} 秒", minutes: "{0} 分", hours: "{0} 時間",
    },
  };
  const REFRESH_MILLISECONDS = 3000;
  const TOAST_MILLISECONDS = 2600;
  const DRAFT_DAYS = 7;
  const TIMES_KEPT = 500;
  // Below this the clock shows what is left instead of what has passed.
  const SHORT_SECONDS = 60;
  // A frame that says nothing once it is loaded is shown all the same: its page may explain what went wrong.
  const FRAME_PATIENCE_MILLISECONDS = 300;

  const byId = (id) => document.getElementById(id);
  const store = {
    get(key, otherwise) {
      try { return JSON.parse(localStorage.getItem(`truthloop.${key}`)) ?? otherwise; } catch { return otherwise; }
    },
    set(key, value) {
      try { localStorage.setItem(`truthloop.${key}`, JSON.stringify(value)); return true; } catch { return false; }
    },
    remove(key) { localStorage.removeItem(`truthloop.${key}`); },
    keys(prefix) { return Object.keys(localStorage).filter((key) => key.startsWith(`truthloop.${prefix}`)).map((key) => key.slice(10)); },
  };

  let language = store.get("language", navigator.language.startsWith("ja") ? "ja" : "en");
  let theme = store.get("theme", matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  let jobs = [];
  // The task on the screen: {id, job, page, started, limit, frame, ready}.
  let current = null;
  let held = null;
  let busy = false;

  const say = (key, ...values) => TEXTS[language][key].replace(/\{(\d)\}/g, (_, index) => values[index]);

  async function call(path, body) {
    let response;
    try {
      response = await fetch(`/portal/api/${path}`, body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    } catch {
      throw new Error(say("unreachable"));
    }
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(answer.message), { status: response.status });
    return answer;
  }

  // Two windows of one person work on different tasks, and a reload stays with its own.
  function thisWindow() {
    const name = sessionStorage.getItem("truthloop.window") ?? crypto.randomUUID();
    sessionStorage.setItem("truthloop.window", name);
    return name;
  }

  // ---- language and theme ----

  function speak() {
    document.documentElement.lang = language;
    document.documentElement.dataset.theme = theme;
    for (const node of document.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
    for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
    for (const node of document.querySelectorAll("[data-title]")) node.title = say(node.dataset.title);
    for (const node of document.querySelectorAll("[data-language]")) node.setAttribute("aria-pressed", String(node.dataset.language === language));
    showJobs();
    tell(current, { kind: "settings", settings: { language, theme } });
  }

  function choose(setting, value) {
    store.set(setting, value);
    if (setting === "language") language = value; else theme = value;
    speak();
  }

  // ---- my tasks ----

  function duration(seconds) {
    if (seconds < 90) return say("seconds", Math.round(seconds));
    if (seconds < 5400) return say("minutes", Math.round(seconds / 60));
    return say("hours", Math.round(seconds / 360) / 10);
  }

  function median(values) {
    const sorted = [...values].sort((one, other) => one - other);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  function node(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function showJobs() {
    const times = store.get("times", []);
    byId("answers").textContent = String(jobs.reduce((sum, job) => sum + job.submitted, 0));
    byId("median").textContent = times.length ? duration(median(times)) : "–";
    byId("available").textContent = String(jobs.reduce((sum, job) => sum + job.available, 0));
    byId("empty").hidden = jobs.length > 0;
    // A list that is built anew would take the focus from the button on which it is.
    const focused = document.activeElement?.dataset?.job;
    byId("jobs").replaceChildren(...jobs.map((job) => {
      const item = node("li", "job");
      item.append(node("h2", "", job.title || job.name));
      if (job.description) item.append(node("p", "about", job.description));
      const facts = node("p", "facts");
      if (job.task_type) facts.append(node("span", "chip", job.task_type));
      facts.append(node("span", "", say("waiting", job.available)), node("span", "", say("done", job.submitted)), node("span", "", say("limit", duration(job.seconds))));
      const mine = held?.job === job.name;
      const start = node("button", "button primary", mine ? say("continue") : job.available ? say("start") : say("noTasks"));
      start.type = "button";
      start.dataset.job = job.name;
      start.disabled = !mine && job.available === 0;
      start.addEventListener("click", () => work(job.name));
      const progress = node("progress");
      progress.max = Math.max(job.submitted + job.available, 1);
      progress.value = job.submitted;
      progress.setAttribute("aria-label", say("done", job.submitted));
      item.append(facts, start, progress);
      return item;
    }));
    if (focused) document.querySelector(`[data-job="${CSS.escape(focused)}"]`)?.focus();
  }

  async function refresh() {
    try {
      ({ jobs } = await call("jobs"));
      byId("trouble").hidden = true;
      showJobs();
    } catch (error) {
      byId("trouble").textContent = error.message;
      byId("trouble").hidden = false;
    }
  }

  // ---- one task ----

  function tell(task, message) { task?.frame.contentWindow?.postMessage({ truthloop: true, ...message }, "*"); }

  async function work(job) {
    if (busy) return;
    busy = true;
    try {
      const { task } = await call("next", { job, window: thisWindow() });
      if (task) open(task);
      else { await leave(); toast(say("jobDone")); }
    } catch (error) {
      await leave();
      toast(error.message, true);
    } finally {
      busy = false;
    }
  }

  // The next task's page is made behind the one that is shown, so that the screen never goes blank. A task is only
  // asked for once the one before is sent: from then on its time is counted.
  function open(task) {
    const frame = document.createElement("iframe");
    frame.className = "waiting";
    frame.title = say("task");
    frame.setAttribute("sandbox", "allow-scripts");
    frame.src = `${task.page}?language=${language}&theme=${theme}`;
    const limit = task.deadline - task.accepted_at;
    const started = performance.now() / 1000 - (limit - task.seconds_left);
    const next = { ...task, limit, started, frame, ready: false, old: current?.frame };
    current = next;
    held = { id: task.id, job: task.job };
    const title = jobs.find((job) => job.name === task.job)?.title || task.job;
    byId("job-title").textContent = title;
    show("task");
    history.replaceState(null, "", `#job=${encodeURIComponent(task.job)}`);
    byId("frames").append(frame);
    frame.addEventListener("load", () => setTimeout(() => reveal(next), FRAME_PATIENCE_MILLISECONDS));
    tick();
  }

  function reveal(task) {
    if (task !== current) { task.frame.remove(); return; }
    if (task.shown) return;
    task.shown = true;
    task.frame.classList.remove("waiting");
    for (const frame of [...byId("frames").children]) if (frame !== task.frame) frame.remove();
    task.frame.focus();
  }

  function show(view) {
    const inTask = view === "task";
    document.body.classList.toggle("in-task", inTask);
    for (const id of ["back", "job-title", "timer", "decline", "return", "task-view"]) byId(id).hidden = !inTask;
    for (const id of ["brand", "jobs-view"]) byId(id).hidden = inTask;
  }

  async function leave() {
    current = null;
    byId("frames").replaceChildren();
    history.replaceState(null, "", location.pathname);
    show("jobs");
    await refresh();
    document.querySelector(".job .button:not(:disabled)")?.focus();
  }

  async function finish(action, body, done) {
    if (busy || !current) return;
    const task = current;
    const seconds = performance.now() / 1000 - task.started;
    busy = true;
    try {
      const result = await call(action, { task: task.id, ...body });
      store.remove(`draft.${task.id}`);
      held = null;
      if (action === "submit") {
        store.set("times", [...store.get("times", []), Math.round(seconds * 10) / 10].slice(-TIMES_KEPT));
        if (result.answer) showAnswer(result.answer);
      }
      toast(say(done));
      busy = false;
      if (action === "return") await leave();
      else await work(task.job);
    } catch (error) {
      toast(error.message, true);
      if (error.status === 409) { held = null; await leave(); } else tell(task, { kind: "refused" });
    } finally {
      busy = false;
    }
  }

  const actions = {
    submit: (answer) => finish("submit", { answer }, "sent"),
    decline: () => finish("decline", {}, "skipped"),
    return: () => finish("return", {}, "returned"),
  };

  window.addEventListener("message", (event) => {
    const task = current;
    if (!task || event.source !== task.frame.contentWindow || event.data?.truthloop !== true) return;
    const message = event.data;
    if (message.kind === "ready") {
      task.ready = true;
      tell(task, { kind: "settings", settings: { language, theme } });
      const saved = store.get(`draft.${task.id}`, null);
      if (saved) tell(task, { kind: "restore", draft: saved.draft });
      reveal(task);
    } else if (message.kind === "draft") {
      if (!store.set(`draft.${task.id}`, { saved: Date.now(), draft: message.draft })) toast(say("draftFull"), true);
    } else if (message.kind === "answer") {
      actions.submit(message.answer);
    } else if (message.kind === "action" && (message.action === "decline" || message.action === "return")) {
      actions[message.action]();
    }
  });

  function forgetOldDrafts() {
    const oldest = Date.now() - DRAFT_DAYS * 86_400_000;
    for (const key of store.keys("draft.")) if ((store.get(key, {}).saved ?? 0) < oldest) store.remove(key);
  }

  // ---- the clock ----

  function clock(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const two = (number) => String(number).padStart(2, "0");
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  }

  async function tick() {
    if (!current) return;
    const passed = performance.now() / 1000 - current.started;
    const left = current.limit - passed;
    const short = left < Math.min(SHORT_SECONDS, current.limit / 2);
    byId("timer").classList.toggle("short", short);
    byId("clock").textContent = short ? say("left", clock(left)) : clock(passed);
    if (left <= 0 && !busy) {
      held = null;
      store.remove(`draft.${current.id}`);
      await leave();
      toast(say("timeUp"), true);
    }
  }

  // ---- messages ----

  let toastTimer = 0;
  function toast(text, bad = false) {
    const shown = byId("toast");
    shown.textContent = text;
    shown.classList.toggle("bad", bad);
    shown.hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { shown.hidden = true; }, bad ? 3 * TOAST_MILLISECONDS : TOAST_MILLISECONDS);
  }

  function showAnswer(answer) {
    const shorten = (_, value) => (typeof value === "string" && value.length > 300 ? `${value.slice(0, 80)}… (${value.length})` : value);
    byId("answer-text").textContent = JSON.stringify(answer, shorten, 2);
    byId("answer").hidden = false;
  }

  // ---- start ----

  for (const button of document.querySelectorAll("[data-language]")) button.addEventListener("click", () => choose("language", button.dataset.language));
  byId("theme").addEventListener("click", () => choose("theme", theme === "dark" ? "light" : "dark"));
  byId("back").addEventListener("click", () => leave());
  byId("decline").addEventListener("click", actions.decline);
  byId("return").addEventListener("click", actions.return);
  byId("answer-close").addEventListener("click", () => { byId("answer").hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (!current || !event.altKey) return;
    const action = { KeyS: actions.decline, KeyR: actions.return }[event.code];
    if (action) { event.preventDefault(); action(); }
  });
  setInterval(tick, 500);
  setInterval(() => { if (!current && document.visibilityState === "visible") refresh(); }, REFRESH_MILLISECONDS);

  forgetOldDrafts();
  speak();
  const job = new URLSearchParams(location.hash.slice(1)).get("job");
  refresh().then(() => { if (job) work(job); });
})();
