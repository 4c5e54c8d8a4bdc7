import assert from "node:assert/strict";
import { test } from "node:test";
import { News } from "../source/news";

test("news is fresh for two and a half seconds", () => {
  const news = new News(1000);
  news.heard(2000);
  assert.equal(news.fresh(4500), true);
  assert.equal(news.fresh(4501), false);
  assert.equal(news.age(4501), 2501);
});

test("the coordinator is asked each second, and less often while it is gone", () => {
  const news = new News(0);
  assert.equal(news.delay(), 1000);
  const delays = [1, 2, 3, 4, 5, 100].map(() => {
    news.failed();
    return news.delay();
  });
  assert.deepEqual(delays, [1000, 2000, 4000, 5000, 5000, 5000]);
  news.heard(10);
  assert.equal(news.delay(), 1000);
});
