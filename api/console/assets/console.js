// Everything works without this. It looks while one types, copies, and asks before what cannot be undone.

const REGION = '[data-region]';
let running = null;

function load(address) {
  // An XMLHttpRequest parses HTML without running any of it, so no page needs a policy for trusted types.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('GET', address);
    request.responseType = 'document';
    request.onload = () => (request.status === 200 && request.response ? resolve(request) : reject(request));
    request.onerror = () => reject(request);
    request.onabort = () => resolve(null);
    request.send();
    running = request;
  });
}

async function refresh(address, keep) {
  running?.abort();
  const regions = document.querySelectorAll(REGION);
  regions.forEach((each) => each.setAttribute('aria-busy', 'true'));
  let answer;
  try {
    answer = await load(address);
  } catch {
    location.assign(address);
    return;
  }
  if (!answer) return;
  if (new URL(answer.responseURL).pathname !== location.pathname) {
    location.assign(answer.responseURL);
    return;
  }
  for (const each of regions) {
    const fresh = answer.response.querySelector(`[data-region="${each.dataset.region}"]`);
    if (fresh) each.replaceWith(document.adoptNode(fresh));
  }
  if (keep) history.replaceState(null, '', address);
  prepare(document);
}

function addressOf(form) {
  const fields = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...fields]) if (!value) fields.delete(name, value);
  return `${form.getAttribute('action') || location.pathname}?${fields}`.replace(/\?$/, '');
}

function live(form) {
  let waiting;
  const soon = (delay) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => refresh(addressOf(form), true), delay);
  };
  form.addEventListener('input', (event) => soon(event.target.matches('input[type="search"], input:not([type])') ? 200 : 0));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    soon(0);
  });
}

async function copy(button) {
  const label = button.querySelector('span') || button;
  const source = document.getElementById(button.dataset.copy);
  let said = 'Copied';
  try {
    await navigator.clipboard.writeText(source.textContent);
    if (navigator.clipboard.readText && document.hasFocus()) {
      const there = await navigator.clipboard.readText().catch(() => source.textContent);
      if (there !== source.textContent) said = 'Not copied: select the text';
    }
  } catch {
    getSelection().selectAllChildren(source);
    said = 'Not copied: the text is selected, press Ctrl+C';
  }
  label.textContent = said;
  label.setAttribute('role', 'status');
}

function prepare(root) {
  root.querySelectorAll('form[data-live]:not([data-ready])').forEach((form) => {
    form.dataset.ready = '';
    live(form);
  });
  root.querySelectorAll('button[data-copy]').forEach((button) => {
    button.hidden = false;
  });
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('button[data-copy]');
  if (button) copy(button);
});

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    const open = document.querySelector('details.menu[open]');
    if (open) {
      open.open = false;
      open.querySelector('summary').focus();
    }
  }
  if (event.key === '/' && !event.target.closest('input, textarea, select') && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector('main input[type="search"]');
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
});

document.addEventListener('submit', (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || !(event.target instanceof HTMLFormElement) || event.target.method !== 'post') return;
  if ('repeat' in event.target.dataset) return; // it answers with a file
  if (event.target.dataset.sent) event.preventDefault(); // a second click sends nothing twice
  event.target.dataset.sent = '1';
  button?.setAttribute('aria-busy', 'true');
});
addEventListener('pageshow', () => document.querySelectorAll('form[data-sent]').forEach((form) => delete form.dataset.sent));

prepare(document);
