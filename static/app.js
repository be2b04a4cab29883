/* Comfort only: every page works without this file. Copies lists, shows times in the reader's zone, refreshes what runs. */
(() => {
  'use strict';
  const lang = document.documentElement.lang === 'fr' ? 'fr' : 'en-GB';

  // Times are written in UTC by the server.
  const localTimes = (root) => {
    for (const el of root.querySelectorAll('time[data-show]')) {
      const hm = { hour: '2-digit', minute: '2-digit' };
      const full = { day: 'numeric', month: 'short', year: 'numeric', ...hm };
      const at = new Date(el.dateTime);
      if (!isNaN(at)) el.textContent = at.toLocaleString(lang, el.dataset.show === 'time' ? hm : full);
    }
  };
  localTimes(document);

  // Copy: the link's target is the list itself. The clipboard is asked within the tap, with a promise, or Safari refuses.
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-copy]');
    if (!link || !navigator.clipboard || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const text = fetch(link.href, { credentials: 'same-origin' }).then((answer) => {
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      return answer.text();
    });
    const written = window.ClipboardItem
      ? navigator.clipboard.write([new ClipboardItem({ 'text/plain': text.then((t) => new Blob([t], { type: 'text/plain' })) })])
      : text.then((t) => navigator.clipboard.writeText(t));
    Promise.all([text, written]).then(([t]) => {
      const n = t.split('\n').filter(Boolean).length.toLocaleString(lang);
      const status = document.getElementById(link.dataset.copy);
      if (status) status.textContent = status.dataset.done.replace('{n}', n);
    }).catch(() => { location.href = link.href; });
  });

  // Refresh in place of the block that is under way, until it says that nothing is any more.
  const follow = () => {
    const block = document.querySelector('[data-live]');
    if (!block) return;
    setTimeout(async () => {
      try {
        const answer = await fetch(location.href, { credentials: 'same-origin', redirect: 'manual' });
        if (answer.type === 'opaqueredirect') { location.reload(); return; }
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        const fresh = answer.ok && page.getElementById(block.id);
        // Somebody may be on a button of the block by keyboard: leave it alone this time.
        if (fresh && !block.contains(document.activeElement)) {
          const open = fresh.querySelectorAll('details');
          block.querySelectorAll('details').forEach((d, i) => { if (d.open && open[i]) open[i].open = true; });
          localTimes(fresh);
          block.replaceWith(fresh);
        }
      } catch { /* the next turn tries again */ }
      follow();
    }, document.hidden ? 15000 : block.dataset.live * 1000);
  };
  follow();
})();
