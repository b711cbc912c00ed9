# Expiry: a hold that has run out is gone for its owner, its seats are free for
# everybody without anything having to run, and nothing late done in its name
# touches who holds them now.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;
use Time::HiRes qw(sleep);

my $TTL_MS = 2500;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_performance(1, 'hall', 300_000, map { "A-$_" } 1 .. 60);
my $let_sweep = $db->without_keeper;
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, config => {refresh_s => 1});

sub hold { return http($worker->target, $worker->hold(@_)) }

# Lets every hold run out at once, as time would, and waits until the worker
# has heard of it.
sub run_out {
    $db->do("UPDATE hold SET expires_at = created_at WHERE state = 'active';
             UPDATE seat SET expires_at = (SELECT expires_at FROM hold WHERE id = hold_id)
             WHERE state = 'held'");
    within(sub { my $seats = seats(); !grep { $_->{state} eq 'held' } values %$seats }, 10)
        or die "the worker does not hear of what has run out\n";
    return;
}

# The seats of the list as a hash of name to entry.
sub seats {
    return {map { $_->{seat} => $_ } @{$worker->ask(1, GET => '/v1/performances/1/seats')->{json}{seats}}};
}

# Ids of the visitor's own living holds.
sub own {
    my ($number) = @_;
    return [map { $_->{hold} } @{$worker->ask($number, GET => '/v1/performances/1/holds')->{json}{holds}}];
}

# Changes how long new holds live.
sub live_for {
    my ($ms) = @_;
    $db->do("UPDATE performance SET hold_ttl_ms = $ms");
    within(sub { $worker->ask(1, GET => '/v1/performances/1')->{json}{hold_ttl_ms} == $ms }, 10)
        or die "the worker does not hear of the time to live\n";
    return;
}

# What the rows have, even of holds that have run out.
sub row {
    my ($name) = @_;
    my $no = $db->seat(1, $name)->{seat_no};
    return join ' ', @{$db->rows("SELECT state, LOWER(HEX(hold_id)) FROM seat WHERE seat_no = $no")->[0]};
}
sub hold_row { return $db->value("SELECT state FROM hold WHERE id = x'$_[0]{hold}'") }

subtest 'a hold lasts as long as it says' => sub {
    live_for($TTL_MS);
    my $hold = hold(1, 'A-1', 'A-2')->{json};
    is $hold->{expires_in_ms}, $TTL_MS, 'the time it says is the time to live';
    is hold(2, 'A-1')->{status}, 409, 'held against others until then';
    is seats()->{'A-1'}{state}, 'held', 'and listed as held';
    my $left = $worker->ask(1, GET => "/v1/holds/$hold->{hold}")->{json}{expires_in_ms};
    cmp_ok $left, '<=', $TTL_MS, 'no more is left';
    cmp_ok $left, '>', $TTL_MS - 1000, 'and nearly all of it';
    is_deeply own(1), [$hold->{hold}], 'its owner finds it in the list of his own';
    is_deeply own(2), [], 'others do not';

    sleep $TTL_MS / 1000 + 0.05;
    my $answer = $worker->ask(1, GET => "/v1/holds/$hold->{hold}");
    is $answer->{status}, 410, 'after it the hold is gone';
    is $answer->{json}{code}, 'hold_expired', 'with a code of its own';
    is_deeply own(1), [], 'and in the list no more';
    eventually { seats()->{'A-1'}{state} eq 'free' } 5, 'its seat is listed as free';
    is seats()->{'A-1'}{version}, 1, 'with the version it has';
    is row('A-1'), "held $hold->{hold}", 'though nothing has touched the row';
    is hold_row($hold), 'active', 'nor the hold';
    live_for(300_000);
    my $next = hold(2, 'A-1');
    is "$next->{status} $next->{json}{seats}[0]{version}", '201 2', 'who wants the seat has it';
};

subtest 'taking over' => sub {
    my $old = hold(1, 'A-3', 'A-4', 'A-5')->{json};
    run_out();
    my $new = hold(2, 'A-4', 'A-6')->{json};
    is_deeply $new->{seats}, [{seat => 'A-4', version => 2, tier => 'standard'}, {seat => 'A-6', version => 1, tier => 'standard'}],
        'the seat goes over with its version raised';
    is $db->broken, '', 'the invariants hold in between';
    is hold_row($old), 'active', 'the old hold is left as it is';
    is $worker->ask(1, GET => "/v1/holds/$old->{hold}")->{status}, 410, 'and gone for its owner';

    is $worker->ask(1, DELETE => "/v1/holds/$old->{hold}")->{status}, 204, 'a late release is heard';
    is $worker->ask(2, GET => "/v1/holds/$new->{hold}")->{status}, 200, 'but frees nothing of the new hold';
    is seats()->{'A-4'}{state}, 'held', 'the seat stays held';
    is row('A-4'), "held $new->{hold}", 'by the new hold';
    is hold(3, 'A-4')->{status}, 409, 'against others, too';
    is_deeply [map { [@{$db->seat(1, $_)}{qw(state hold_id)}] } 'A-3', 'A-5'],
        [['free', undef], ['free', undef]], 'what the old hold had left is given back';
};

subtest 'a version seen before the takeover' => sub {
    my $old = hold(1, 'A-7')->{json};
    run_out();
    is seats()->{'A-7'}{version}, 1, 'the list shows the version of the expired hold';
    my $answer = hold(2, {seat => 'A-7', version => 0});
    is $answer->{status}, 409, 'an older version is a conflict';
    is_deeply $answer->{json}{conflicts}, [{seat => 'A-7', state => 'free', version => 1}],
        'that names the version to use';
    is hold(2, {seat => 'A-7', version => 1})->{status}, 201, 'which then does';
    isnt row('A-7'), "held $old->{hold}", 'taking over';
};

subtest 'a crowd on expired holds of several seats' => sub {
    my @holds = map { my $n = $_; hold($n, map { "A-$_" } 10 + $n * 4 .. 13 + $n * 4)->{json} } 0 .. 5;
    run_out();
    my @wishes = map { my $n = $_; [map { 'A-' . (10 + ($n * 7 + $_ * 5) % 24) } 0 .. 3] } 1 .. 200;
    my $answers = http_many($worker->target,
        [map { $worker->hold(100 + $_, @{$wishes[$_]}) } 0 .. $#wishes], concurrency => 200);
    my (%status, %owner, $twice);
    for my $answer (@$answers) {
        $status{$answer->{status}}++;
        next if $answer->{status} != 201;
        for my $seat (map { $_->{seat} } @{$answer->{json}{seats}}) {
            $twice++ if exists $owner{$seat};
            $owner{$seat} = $answer->{json}{hold};
        }
    }
    is_deeply [sort keys %status], [201, 409], 'every answer is 201 or 409';
    ok !$twice, 'no seat was promised twice';
    ok scalar(keys %owner), 'some were taken over';
    my $names = join ',', map { "'A-$_'" } 10 .. 33;
    is_deeply {map { @$_ } @{$db->rows("SELECT seat, hold_id FROM seat_now
        WHERE seat IN ($names) AND state = 'held'")}}, \%owner,
        'the database holds what was promised';
    is_deeply [grep { hold_row($_) ne 'active' } @holds], [], 'the old holds are left as they are';
    is_deeply [map { $worker->ask($_, GET => "/v1/holds/$holds[$_]{hold}")->{status} } 0 .. 5], [(410) x 6],
        'and gone, each as a whole';
    my ($retries) = http($worker->target, GET => '/metrics')->{body} =~
        /^ticket_worker_db_retries_total ([0-9]+)$/m;
    is $retries, 0, 'and the database saw no deadlock';
};

subtest 'release against takeover at the same moment' => sub {
    for my $round (1 .. 3) {
        my @old = map { hold($_, "A-" . (40 + $_ * 2), "A-" . (41 + $_ * 2))->{json} } 1 .. 6;
        run_out();
        my @requests = map {
            my $n = $_;
            ($worker->request($n, DELETE => "/v1/holds/$old[$n - 1]{hold}"),
             map { $worker->hold(50 + $_, 'A-' . (41 + $n * 2), 'A-' . (40 + $n * 2)) } 1 .. 4)
        } 1 .. 6;
        my $answers = http_many($worker->target, \@requests, concurrency => 30);
        my %n;
        $n{$_->{status}}++ for @$answers;
        is_deeply \%n, {201 => 6, 204 => 6, 409 => 18}, "round $round: one new owner each";
        is $db->broken, '', 'the invariants hold';
        run_out();
    }
};

subtest 'what is left is tidied up' => sub {
    run_out();
    my ($old) = map { @$_ } @{$db->rows("SELECT COUNT(*) FROM hold WHERE state = 'active'")};
    cmp_ok $old, '>', 0, 'holds that have run out lie about';
    $let_sweep->();
    eventually { !$db->value("SELECT COUNT(*) FROM hold WHERE state = 'active'") } 10, 'the sweeper ends them';
    is $db->value("SELECT COUNT(*) FROM seat WHERE state <> 'free'"), 0, 'and their seats are free';
    is $db->broken, '', 'the invariants hold';
};

done_testing;
