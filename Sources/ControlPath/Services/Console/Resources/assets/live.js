// One event stream a tab: a snapshot, then what changed. The browser resumes by Last-Event-ID on its own.
import {bytes, duration, percent, rate, remaining} from './figures.js';
import {arrivals} from './arrivals.js';

const longestHistory = 120;
// Milliseconds before a refused stream is asked for again.
const pause = 5000;

export function live(place) {
  const values = {};
  const speeds = [];
  const peaks = {};
  let spoken = -10;
  let stream;
  const take = event => {
    const news = JSON.parse(event.data);
    if (event.type === 'snapshot') for (const key of Object.keys(values)) delete values[key];
    Object.assign(values, news);
    place.dataset.sequence = event.lastEventId;
    connection(place, true);
    if (changed(place, values)) return reload(stream);
    show(place, values, peaks);
    if ('speed' in values && values.speed !== null) speeds.push(values.speed);
    if (speeds.length > longestHistory) speeds.shift();
    spark(place, speeds);
    spoken = say(place, values, spoken);
    if ('arrivals' in place.dataset) arrivals(place, values);
    return undefined;
  };
  const open = () => {
    stream = new EventSource(place.dataset.live);
    stream.addEventListener('snapshot', take);
    stream.addEventListener('delta', take);
    stream.addEventListener('open', () => connection(place, true));
    stream.addEventListener('error', () => {
      connection(place, false);
      // An answer that is no stream ends it for good, unless it is asked for again.
      if (stream.readyState === EventSource.CLOSED) setTimeout(open, pause);
    });
  };
  open();
  addEventListener('offline', () => connection(place, false));
  addEventListener('online', () => { stream.close(); open(); });
  addEventListener('pagehide', () => stream.close());
}

// A page that was built from something else than is now is loaded anew, but never under somebody's hands.
function changed(place, values) {
  return [...place.querySelectorAll('[data-known]')].some(
    known => known.dataset.known in values && values[known.dataset.known] !== known.dataset.as);
}

function reload(stream) {
  const busy = document.activeElement?.closest('form, details[open]');
  if (busy && document.activeElement.matches('input, select, textarea')) return;
  stream.close();
  location.reload();
}

function show(place, values, peaks) {
  for (const element of place.querySelectorAll('progress[data-value]')) {
    const value = values[element.dataset.value];
    if (value === undefined || value === null) continue;
    // Within one sync progress never goes back.
    const key = element.dataset.value + (values.sync ?? element.dataset.sync ?? '');
    peaks[key] = Math.max(peaks[key] ?? 0, value);
    element.value = peaks[key];
  }
  fill(place, 'percent', value => percent(value));
  fill(place, 'bytes', value => bytes(value));
  fill(place, 'rate', value => rate(value));
  for (const element of place.querySelectorAll('[data-duration]')) {
    const value = values[element.dataset.duration];
    if (value !== undefined && value !== null) element.textContent = remaining(values[element.dataset.low], value);
  }
  const names = [...place.querySelectorAll('[data-phase]')];
  const now = names.findIndex(item => item.dataset.phase === values.phase);
  names.forEach((item, index) => {
    if (now < 0) return;
    item.className = index < now ? 'done' : index === now ? 'now' : 'todo';
    if (index === now) item.setAttribute('aria-current', 'step'); else item.removeAttribute('aria-current');
  });
  note('stalled', values.stalled ? place.dataset.stalled?.replace('{time}', duration(values.stalled)) : undefined);
  const diverging = document.getElementById('diverging');
  if (diverging) diverging.hidden = !values.diverging;

  function fill(root, kind, text) {
    for (const element of root.querySelectorAll(`[data-${kind}]`)) {
      const value = values[element.dataset[kind]];
      if (value !== undefined && value !== null) element.textContent = text(value);
    }
  }
}

function note(id, text) {
  const element = document.getElementById(id);
  if (!element) return;
  element.hidden = !text;
  if (text && element.textContent !== text) element.textContent = text;
}

function connection(place, isThere) {
  place.dataset.connected = isThere ? 'yes' : 'no';
  note('connection', isThere ? undefined : place.dataset.lost);
}

function spark(place, speeds) {
  const line = place.querySelector('[data-spark] polyline');
  if (!line || speeds.length < 2) return;
  const top = Math.max(1, ...speeds);
  const step = 120 / (speeds.length - 1);
  line.setAttribute('points', speeds.map((speed, index) => `${(index * step).toFixed(1)},${(27 - 26 * speed / top).toFixed(1)}`).join(' '));
}

// A screen reader is told every ten percent, not every second.
function say(place, values, spoken) {
  const said = place.querySelector('[data-say]')?.dataset.say;
  if (!said || typeof values.percent !== 'number' || values.percent - spoken < 10) return spoken;
  document.getElementById('announce').textContent = said.replace('{percent}', Math.floor(values.percent));
  return values.percent;
}
