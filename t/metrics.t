# The metrics: every counter moves when it should and at no other time;
# promtool finds nothing to say about them; histograms agree with themselves;
# a reload keeps them; and docs/metrics.md names them all, and no others.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Http::Jar;
use Ticket::Metrics;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::Test;
use Ticket::Token ();
use Time::HiRes qw(sleep time);

my $redis = Ticket::Redis->new(dir => temp_dir());
my $http = <<'END';
    ticket_redis unix:%%REDIS%% timeout=500ms;
    ticket_zone  rooms:1m interval=50ms "node=a \"b\"\\c";
    ticket_keys  %%KEYS%%;
    ticket_room  one   { slots 1; rate 100 10s; session 1h; claim 1h; liveness 1h; }
    ticket_room  miss  { slots 1; session 1h; claim 1s; liveness 1h; }
    ticket_room  shut  { mode reject; }
    ticket_room  show  { slots 2; }
    ticket_room  free  { mode passthrough; }
    server {
        listen unix:%%SOCK%%;
        location = /one     { ticket_queue one; }
        location = /miss    { ticket_queue miss; }
        location = /shut    { ticket_queue shut; }
        location = /show    { ticket_queue show:$arg_show; }
        location = /gate    { ticket_gate one; empty_gif; }
        location = /joins   { ticket_queue free; }
        location = /off     { ticket_gate free; empty_gif; }
        location = /metrics { ticket_metrics; }
    }
END
my $nginx = Ticket::Nginx->new(redis => $redis, http => $http);
my ($secret) = slurp($nginx->keys_file) =~ /^1 ([0-9a-f]+)$/m;

sub ask {
    my ($method, $path, %more) = @_;
    return $nginx->http({method => $method, path => $path, %more});
}

sub metrics { return read_metrics(ask('GET', '/metrics')->{body}) }

# Counters and counts that only a visitor's request of this room moves.
sub counters {
    my ($all) = @_;
    return map { $_ => $all->{$_} }
        grep { /^ticket_room_\w+(?:_total|_count)\{/ && !/exchange/ } keys %$all;
}

# Until two more exchanges of a room that is known have been tried, so that all
# that Redis counts has come.
sub settle {
    my ($room) = @_;
    my $tried = sub {
        my $all = metrics();
        return ($all->{"ticket_room_exchanges_total{room=\"$room\"}"} // 0)
            + ($all->{"ticket_room_exchange_failures_total{room=\"$room\"}"} // 0);
    };
    return if !exists metrics()->{"ticket_room_joins_total{room=\"$room\"}"};
    my $since = $tried->();
    return within(sub { $tried->() >= $since + 2 }, 10);
}

# Runs something and wants just these counters to have moved, by so much.
sub moves {
    my ($name, $room, $do, %expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    %expected = map {
        my ($n, $labels) = /^(\w+?)(?:\{(.*)\})?$/;
        ("ticket_room_$n\{room=\"$room\"" . ($labels ? ",$labels}" : '}') => $expected{$_});
    } keys %expected;
    settle($room);
    my %before = counters(metrics());
    $do->();
    my $moved = sub {
        my %now = counters(metrics());
        return {map { my $by = $now{$_} - ($before{$_} // 0); $by ? ($_ => $by) : () } keys %now};
    };
    within(sub { my $m = $moved->(); !grep { ($m->{$_} // 0) != $expected{$_} } keys %expected }, 5);
    settle($room);
    return is_deeply($moved->(), \%expected, $name);
}

my ($in, $waits) = map { Ticket::Http::Jar->new } 1, 2;
my %html = (Accept => 'text/html');

moves('a direct admission', 'one', sub { ask('POST', '/one', jar => $in) },
    joins_total => 1, passes_given_total => 1, calls_total => 1, sessions_begun_total => 1, wait_seconds_count => 1);
my $direct = metrics();
is($direct->{'ticket_room_wait_seconds_sum{room="one"}'}, 0, 'which waited for no time');
is($direct->{'ticket_room_wait_seconds_bucket{room="one",le="0.5"}'}, 1, 'and lies in the lowest bin');
moves('a place in line', 'one', sub { ask('POST', '/one', jar => $waits) }, joins_total => 1);
my $token = $waits->get('ticket-queue-one');
moves('polls, of which the last come too early', 'one', sub { ask('GET', '/one', jar => $waits) for 1 .. 3 },
    polls_total => 3, polls_early_total => 2);
moves('through the gate', 'one', sub { ask('GET', '/gate', jar => $in) for 1 .. 2 }, gate_passed_total => 2);
moves('held back', 'one', sub { ask('GET', '/gate') }, gate_held_back_total => 1);
moves('held back, with a place', 'one', sub { ask('GET', '/gate', jar => $waits) }, gate_held_back_total => 1, polls_total => 1);
ask('POST', '/joins');
moves('through a gate that is open to all', 'free', sub { ask('GET', '/off') }, gate_passed_total => 1);

my $epoch = $redis->cmd('HGET', 'ticket:{one}', 'epoch');
my %pass = (
    bad        => Ticket::Token::pass(room => 'two', secret => $secret, epoch => $epoch),
    expired    => Ticket::Token::pass(room => 'one', secret => $secret, epoch => $epoch, seconds => -1),
    past_epoch => Ticket::Token::pass(room => 'one', secret => $secret, epoch => $epoch - 1),
    over       => Ticket::Token::pass(room => 'one', secret => $secret, epoch => $epoch, number => 2, seconds => 3600),
);
for my $reason (qw(bad expired past_epoch)) {
    moves("a pass: $reason", 'one', sub { ask('GET', '/gate', headers => {'X-Ticket-Pass' => $pass{$reason}}) },
        "passes_refused_total{reason=\"$reason\"}" => 1, gate_held_back_total => 1);
    moves("a pass at the queue: $reason", 'one', sub { ask('GET', '/one', headers => {'X-Ticket-Pass' => $pass{$reason}}) },
        "passes_refused_total{reason=\"$reason\"}" => 1);
}

my $left = $in->get('ticket-pass-one');
moves('leaving, which calls the next', 'one', sub { ask('DELETE', '/one', jar => $in) }, left_total => 1, calls_total => 1);
moves('a pass given back', 'one', sub { ask('GET', '/gate', headers => {'X-Ticket-Pass' => $left}) },
    'passes_refused_total{reason="over"}' => 1, gate_held_back_total => 1);
sleep 1.2;
moves('a claim', 'one', sub { ask('POST', '/one', jar => $waits) },
    polls_total => 1, passes_given_total => 1, sessions_begun_total => 1, wait_seconds_count => 1);
my $claimed = metrics();
cmp_ok($claimed->{'ticket_room_wait_seconds_sum{room="one"}'}, '>=', 1, 'it waited for more than a second');
is($claimed->{'ticket_room_wait_seconds_bucket{room="one",le="1"}'}, 1, 'so it lies above that bin');
moves('the same claim again', 'one', sub { ask('POST', '/one', headers => {'X-Ticket-Queue' => $token}) },
    polls_total => 1, passes_given_total => 1);

my ($holds, $late) = map { Ticket::Http::Jar->new } 1, 2;
ask('POST', '/miss', jar => $_) for $holds, $late;
moves('a call that is missed', 'miss', sub { ask('DELETE', '/miss', jar => $holds) },
    left_total => 1, calls_total => 1, calls_missed_total => 1);

moves('a room that takes nobody', 'shut', sub { ask('POST', '/shut') for 1 .. 2 }, 'joins_refused_total{reason="closed"}' => 2);

# Two kinds of rooms, and their instances.
my %jar = map { $_ => Ticket::Http::Jar->new } qw(a b.c d-e_f);
ask('POST', "/show?show=$_", jar => $jar{$_}) for keys %jar, keys %jar;
eventually { metrics()->{'ticket_room_sessions{room="show:b.c"}'} } 5, 'instances are told';
my $text = ask('GET', '/metrics')->{body};
is_deeply([check_metrics($text)], [0, ''], 'promtool has nothing to say');
my $all = read_metrics($text);
ok((grep { $_ eq 'ticket_build_info{version="0.1.0",nginx="' . ($text =~ /nginx="([0-9.]+)"/)[0] . '",node="a \"b\"\\\\c"}' } keys %$all),
    'versions, and the name of the node');

is($all->{'ticket_room_slots{room="one"}'}, 1, 'slots');
is($all->{'ticket_room_slots{room="shut"}'}, '+Inf', 'no limit of slots');
is($all->{'ticket_room_rate_per_second{room="one"}'}, '10.000000', 'rate');
is($all->{'ticket_room_rate_per_second{room="show:a"}'}, '+Inf', 'no limit of rate');
is($all->{'ticket_room_open{room="one"}'}, 1, 'a room that is open');
is($all->{'ticket_room_open{room="shut"}'}, 0, 'and one that is not');
is($all->{'ticket_room_called{room="one"}'}, 0, 'nobody is called');
is($all->{'ticket_room_sessions{room="one"}'}, 1, 'one has a session');
is($all->{'ticket_room_issued_number{room="one"}'}, 2, 'two numbers issued');
is($all->{'ticket_room_called_number{room="one"}'}, 2, 'and called');
cmp_ok($all->{'ticket_room_exchange_age_seconds{room="one"}'}, '<', 5, 'the age of what is known');
is($all->{ticket_zone_bytes}, 1048576, 'the zone');
cmp_ok($all->{ticket_redis_connections_total}, '>=', 2, 'a connection of each process');
is($all->{ticket_redis_connected}, 1, 'which stands');
ok(!exists $all->{'ticket_room_seats_left{room="one"}'}, 'seats are not told before they are known');

# What an operator or the sale changes at run time.
$redis->cmd('SET', 'ticket:{show:a}:stock', 7);
eventually { (metrics()->{'ticket_room_seats_left{room="show:a"}'} // 0) == 7 } 5, 'seats left';
$redis->cmd('SET', 'ticket:{show:a}:stock', 0);
eventually { metrics()->{'ticket_room_sold_out{room="show:a"}'} } 5, 'sold out';
$redis->cmd('HSET', 'ticket:{show:a}', 'set', 'slots=9 paused=1', 'set_ver', 99);
eventually { my $m = metrics(); $m->{'ticket_room_paused{room="show:a"}'} && $m->{'ticket_room_slots{room="show:a"}'} == 9 } 5,
    'settings in force';
ok(!metrics()->{'ticket_room_paused{room="show:b.c"}'}, 'of that instance only');

# Histograms.
sub consistent {
    my ($name, $labels) = @_;
    my $now = metrics();
    my ($last, $finite, @bins) = (0, 0);
    my $with = sub { my $l = join ',', grep { length } $labels, @_; length $l ? "{$l}" : '' };
    for (sort { $a->[0] <=> $b->[0] } map { /^\Q${name}_bucket\E\{(?:\Q$labels\E,)?le="([0-9.]+)"\}$/ ? [$1, $now->{$_}] : () } keys %$now) {
        return 0 if $_->[1] < $last;
        $last = $_->[1];
        $finite++;
    }
    my $inf = $now->{$name . '_bucket' . $with->('le="+Inf"')};
    return $finite >= 11 && $inf >= $last && $inf == $now->{$name . '_count' . $with->()}
        && $inf > 0 && defined $now->{$name . '_sum' . $with->()};
}
ok(consistent('ticket_room_wait_seconds', 'room="one"'), 'the histogram of waits agrees with itself');
ok(consistent('ticket_redis_round_trip_seconds', ''), 'that of round trips, too');
is_deeply([map { /le="([^"]+)"/ ? $1 : () } grep { /^ticket_redis_round_trip_seconds_bucket/ } split /\n/, $text],
    [qw(0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 +Inf)], 'its bounds');
is_deeply([map { /le="([^"]+)"/ ? $1 : () } grep { /^ticket_room_wait_seconds_bucket\{room="one"/ } split /\n/, $text],
    [qw(0.5 1 2 5 10 30 60 120 300 600 1800 3600 7200 +Inf)], 'those of waits');
my $trips = metrics()->{ticket_redis_round_trip_seconds_count};
eventually { metrics()->{ticket_redis_round_trip_seconds_count} > $trips } 5, 'each exchange is one more';

# The list in the documentation.
my $types = metric_types($text);
my $known = known_metrics();
$types->{ticket_room_seats_left} //= 'gauge';
is_deeply($types, $known, 'docs/metrics.md lists all metrics, and no others');

# A reload: the same counters, in the same memory.
my %before = counters(metrics());
$nginx->reload;
my %after = counters(metrics());
is_deeply(\%after, \%before, 'a reload keeps them');
$nginx->configure(http => $http =~ s/^.*room  miss.*\n|^.*location = .miss.*\n//mgr);
$nginx->reload;
my %fewer = counters(metrics());
is_deeply([grep { /room="miss"/ } keys %fewer], [], 'a room that is not configured any more is not told');

# No number is left.
$redis->cmd('HSET', 'ticket:{show:a}', 'issued', 1024 * 32768 - 1);
moves('no number is left', 'show:a', sub { is(ask('POST', '/show?show=a')->{status}, 503, 'a join') },
    'joins_refused_total{reason="full"}' => 1);

# Redis away.
my $before = metrics();
$redis->stop;
moves('Redis is away', 'one', sub { ask('POST', '/one') for 1 .. 2 }, 'joins_refused_total{reason="unavailable"}' => 2);
eventually {
    my $now = metrics();
    $now->{ticket_redis_errors_total} > $before->{ticket_redis_errors_total} && !$now->{ticket_redis_connected}
        && $now->{'ticket_room_exchange_failures_total{room="one"}'} > $before->{'ticket_room_exchange_failures_total{room="one"}'}
        && $now->{'ticket_room_exchange_age_seconds{room="one"}'} > 0.5;
} 10, 'errors, no connection, exchanges that fail, and what is known grows old';

# A zone that is full.
my $other = Ticket::Redis->new(dir => temp_dir(), name => 'other');
$nginx = Ticket::Nginx->new(redis => $other, name => 'small', http => $http =~ s/rooms:1m/rooms:128k/r);
my $n = 0;
$n++ while $n < 100 && ask('POST', "/show?show=$n")->{status} == 201;
cmp_ok($n, '<', 100, 'the zone is full');
my $refused = metrics()->{ticket_zone_refused_total};
cmp_ok($refused, '>', 0, 'which is counted');
my ($full) = map { /^ticket_room_joins_refused_total\{room="[^"]+",reason="zone_full"\}$/ && metrics()->{$_} ? $_ : () } keys %{metrics()};
ask('POST', "/show?show=another$_") for 1 .. 3;
cmp_ok(metrics()->{ticket_zone_refused_total}, '>=', $refused + 3, 'each time');
$other->cmd('HSET', 'ticket:{show:0}', 'issued', 3 * 32768);
eventually { metrics()->{'ticket_room_issued_number{room="show:0"}'} == 3 * 32768 } 10, 'a line that needs more memory';
moves('a join that finds no memory', 'show:0', sub { ask('POST', '/show?show=0') }, 'joins_refused_total{reason="zone_full"}' => 1);

done_testing;
