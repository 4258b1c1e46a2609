// Numbers as people read them, in the page's language; the same forms as Text/Figures.swift.
const lang = document.documentElement.lang;
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const words = lang.startsWith('zh') ? ['秒', '分钟', '小时'] : ['s', 'min', 'h'];

export function bytes(count) {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export const rate = count => `${bytes(count)}/s`;
export const percent = value => `${Math.floor(value)} %`;

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 90) return `${whole} ${words[0]}`;
  if (whole < 5400) return `${Math.round(whole / 60)} ${words[1]}`;
  return `${Math.floor(whole / 3600)} ${words[2]} ${Math.floor(whole % 3600 / 60)} ${words[1]}`;
}

export function remaining(low, high) {
  return high > 7200 && low !== undefined && high > low * 1.2 ? `${duration(low)} – ${duration(high)}` : duration(high);
}
