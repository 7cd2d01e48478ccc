// Looks at the page that it stands in as a reader would, and tells the page around it what it saw.
(() => {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  // WCAG 2.2, "contrast ratio".
  const contrast = (a, b) => {
    const [low, high] = [luminance(parse(a)), luminance(parse(b))].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (parse(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const inside = (box) => box.width === 0 || (box.left >= -0.5 && box.right <= innerWidth + 0.5);
  // Cells of tables whose header is not in sight, that do not say what they are either.
  const unnamed = () => {
    const cells = [...document.querySelectorAll(".grid td:not(:first-child):not(.range)")];
    const name = (cell) => getComputedStyle(cell, "::before").content.replace(/none|["\s]/g, "");
    return cells.filter((cell) => cell.closest("table").tHead.getClientRects().length === 0 && !name(cell)).length;
  };
  const look = () => {
    document.querySelectorAll("details").forEach((details) => (details.open = true));
    const faint = [];
    const outside = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const element = node.parentElement;
      if (!node.data.trim() || element.closest("script")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const boxes = [...range.getClientRects()];
      if (boxes.length === 0) continue;
      seen += 1;
      if (!boxes.every(inside)) outside.push(node.data.trim().slice(0, 40));
      const style = getComputedStyle(element);
      const ratio = contrast(element.closest("svg") ? style.fill : style.color, background(element));
      if (ratio < 4.5) faint.push(`${node.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    for (const mark of document.querySelectorAll("svg polyline, svg circle, svg polygon")) {
      const style = getComputedStyle(mark);
      const ratio = contrast(style.stroke === "none" ? style.fill : style.stroke, background(mark));
      if (ratio < 3) faint.push(`${mark.outerHTML.slice(0, 60)}: ${ratio.toFixed(2)}`);
    }
    return {
      page: document.title,
      width: innerWidth,
      dark: matchMedia("(prefers-color-scheme: dark)").matches,
      background: getComputedStyle(document.body).backgroundColor,
      scroll_width: document.documentElement.scrollWidth,
      headings: [...document.querySelectorAll("h1, h2, h3")].map((heading) => heading.textContent),
      unnamed: unnamed(),
      tables: document.querySelectorAll("table").length,
      drawings: [...document.querySelectorAll("svg")].map((svg) => svg.getBoundingClientRect().width),
      texts: seen,
      outside,
      faint,
      requests: performance.getEntriesByType("resource").map((entry) => entry.name),
    };
  };
  addEventListener("load", () => parent.postMessage(JSON.stringify(look()), "*"));
})();
