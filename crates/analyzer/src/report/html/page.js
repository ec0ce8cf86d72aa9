"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Whatever a link leads to is opened, shown and marked for a moment.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let up = target; up; up = up.parentElement) if (up.localName === "details") up.open = true;
    target.querySelector(":scope > details")?.setAttribute("open", "");
    target.scrollIntoView({ block: "center" });
    (target.querySelector("summary") ?? target).focus({ preventScroll: true });
    target.classList.remove("flash");
    void target.offsetWidth;
    target.classList.add("flash");
  };
  addEventListener("hashchange", reveal);
  addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (link && link.hash === location.hash) reveal();
  });

  // A message is coloured when it is opened: first line, header names, and of a description what decides most.
  const colour = (pre) => {
    if (pre.dataset.done) return;
    pre.dataset.done = "1";
    const lines = pre.textContent.split("\n");
    const parts = [];
    const span = (kind, text) => {
      const made = document.createElement("span");
      made.className = kind;
      made.textContent = text;
      parts.push(made);
    };
    let body = false;
    lines.forEach((line, at) => {
      const header = /^([A-Za-z][A-Za-z0-9-]*)(\s*:.*)$/.exec(line);
      if (at > 0) parts.push("\n");
      if (at === 0) span("start", line);
      else if (line === "") body = true;
      else if (!body && header) {
        span("name", header[1]);
        parts.push(header[2]);
      } else if (body && /^(m=|c=|o=|a=(sendrecv|sendonly|recvonly|inactive|rtpmap|crypto|setup|fingerprint))/.test(line)) {
        span(/^(m=|c=|a=(sendrecv|sendonly|recvonly|inactive))/.test(line) ? "sdp key" : "sdp", line);
      } else parts.push(line);
    });
    pre.replaceChildren(...parts);
  };
  addEventListener("toggle", (event) => {
    if (event.target.open) all(":scope > .text > .sides > pre", event.target).forEach(colour);
  }, true);

  // Paper cannot be clicked: every call is open on it, and the messages stand behind their ladder, so that it stays one.
  const root = document.documentElement;
  let closed = [];
  let sheets = [];
  addEventListener("beforeprint", () => {
    closed = all("details.call:not([open])");
    closed.forEach((call) => (call.open = true));
    all(".msg > .text > .sides > pre").forEach(colour);
    root.classList.add("paper");
    sheets = all(".ladder").map((ladder) => {
      const sheet = document.createElement("section");
      sheet.append(Object.assign(document.createElement("h3"), { textContent: "Messages" }));
      for (const row of all("li", ladder)) {
        const title = `${row.querySelector(".num").textContent}  ${row.querySelector(".arrow b").textContent}`;
        sheet.append(Object.assign(document.createElement("p"), { className: "of", textContent: title }));
        sheet.append(row.querySelector(".text").cloneNode(true));
      }
      sheet.className = "sheet";
      ladder.after(sheet);
      return sheet;
    });
  });
  addEventListener("afterprint", () => {
    sheets.forEach((sheet) => sheet.remove());
    root.classList.remove("paper");
    closed.forEach((call) => (call.open = false));
  });

  // Many calls: by words and by how bad they are.
  const words = document.getElementById("words");
  const bad = document.getElementById("bad");
  const told = document.getElementById("told");
  const sieve = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const only = bad.getAttribute("aria-pressed") === "true";
    let shown = 0;
    for (const call of all("main > .call")) {
      const text = call.dataset.words.toLowerCase();
      call.hidden = (only && call.dataset.bad === "no") || !wanted.every((word) => text.includes(word));
      shown += call.hidden ? 0 : 1;
    }
    told.textContent = `${shown} shown`;
  };
  words?.addEventListener("input", sieve);
  bad?.addEventListener("click", () => {
    bad.setAttribute("aria-pressed", String(bad.getAttribute("aria-pressed") !== "true"));
    sieve();
  });
  if (location.hash) reveal();
  all("details[open].msg pre").forEach(colour);
})();
