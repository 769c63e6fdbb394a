// The page in Firefox, by WebDriver BiDi: node firefox.mjs PROGRAM ADDRESS KEY FILE. Prints what it saw as JSON.
import puppeteer from 'puppeteer-core';

const [program, url, key, file] = process.argv.slice(2);
const browser = await puppeteer.launch({ browser: 'firefox', executablePath: program, headless: true, protocolTimeout: 120000 });
const wrong = [];
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60000);
  page.on('pageerror', (error) => wrong.push(String(error)));
  await page.goto(url);
  await page.type('#key', key);
  await page.click('#sign-in button');
  await page.waitForSelector('#no-files:not([hidden])');
  await page.click('nav [href="#upload"]');
  await (await page.$('#picked-files')).uploadFile(file);
  await page.waitForSelector('#queue .done');
  await page.click('nav [href="#files"]');
  await page.waitForSelector('#rows .filename');
  const name = await page.$eval('#rows .filename', (each) => each.textContent);
  await page.click('#rows .filename');
  await page.waitForSelector('#preview pre');
  const preview = await page.$eval('#preview pre', (each) => each.textContent);
  await page.click('#details [value=close]');
  await page.click('nav [href="#ask"]');
  await page.waitForSelector('#ask[data-state=unset]');
  await page.click('#sign-out');
  await page.waitForSelector('#sign-in:not([hidden])');
  const kept = await page.evaluate(() => sessionStorage.length + localStorage.length + document.cookie.length);
  await page.goto(`${url}/docs`);
  await page.waitForSelector('#uploadFile');
  console.log(JSON.stringify({ name, preview, kept, wrong }));
} finally {
  await browser.close();
}
