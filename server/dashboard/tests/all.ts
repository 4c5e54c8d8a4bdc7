// The unit tests, in one program for Node's own test runner.
import "./chart_data.test";
import "./contrast.test";
import "./curve.test";
import "./format.test";
import "./messages.test";
import "./news.test";
import "./selection.test";
import "./tables.test";
import "./timeline.test";
import "./zoom.test";
