# Rules S1 and S2 under contention: whatever the crowd does, a seat goes to
# one, a hold is whole or not at all, and nobody is told anything else.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_performance(1, 'hall', 300_000, (map { "A-$_" } 1 .. 80), map { ("B-$_", "C-$_") } 1 .. 100);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db);

# How many answers there were of each status.
sub statuses {
    my ($answers) = @_;
    my %n;
    $n{$_->{status}}++ for @$answers;
    return \%n;
}

subtest 'a thousand clients on one seat' => sub {
    my $answers = http_many($worker->target, [map { $worker->hold($_, 'A-1') } 1 .. 1000],
                            concurrency => 1000);
    is_deeply statuses($answers), {201 => 1, 409 => 999}, 'one has it, 999 do not, none failed';
    my ($winner) = grep { $_->{status} == 201 } @$answers;
    is_deeply $db->rows("SELECT seat, state, version, hold_id FROM seat_now WHERE version > 0"),
        [['A-1', 'held', 1, $winner->{json}{hold}]], 'the seat was written once, by the winner';
    my @told = grep { $_->{status} == 409 } @$answers;
    is scalar(grep { $_->{json}{code} eq 'seat_unavailable'
                     && $_->{json}{conflicts}[0]{seat} eq 'A-1'
                     && $_->{json}{conflicts}[0]{state} eq 'held'
                     && $_->{json}{conflicts}[0]{version} == 1 } @told),
        999, 'the others are told which seat, its state and its version';
    is $db->value('SELECT COUNT(*) FROM hold'), 1, 'losers leave nothing behind';
};

subtest 'pairs and fours that overlap, in opposite orders' => sub {
    my @wishes = map {
        my @seats = map { 'A-' . (10 + $_) } sort { $a <=> $b } map { int rand 12 } 1 .. 4;
        my %seen;
        @seats = grep { !$seen{$_}++ } @seats;
        [$_ % 2 ? @seats : reverse @seats];
    } 1 .. 600;
    my $answers = http_many($worker->target,
        [map { $worker->hold(2000 + $_, @{$wishes[$_]}) } 0 .. $#wishes], concurrency => 200);
    my $n = statuses($answers);
    is_deeply [sort keys %$n], [201, 409], 'every answer is 201 or 409';

    my (%owner, $twice, $partial);
    for my $i (0 .. $#wishes) {
        next if $answers->[$i]{status} != 201;
        my @told = sort map { $_->{seat} } @{$answers->[$i]{json}{seats}};
        $partial++ if "@told" ne join ' ', sort @{$wishes[$i]};
        for my $seat (@told) {
            $twice++ if exists $owner{$seat};
            $owner{$seat} = $answers->[$i]{json}{hold};
        }
    }
    ok !$twice,   'no seat was promised twice';
    ok !$partial, 'who has a hold has all of it';
    my %held = map { @$_ } @{$db->rows(
        "SELECT seat, hold_id FROM seat_now WHERE state = 'held' AND seat <> 'A-1'")};
    is_deeply \%held, \%owner, 'the database holds what was promised, no more and no less';
};

subtest 'fresh pairs, wanted by several at the same time in opposite orders' => sub {
    my @wishes = map { my $n = $_; map { ["B-$n", "C-$n"], ["C-$n", "B-$n"] } 1 .. 4 } 1 .. 100;
    my $answers = http_many($worker->target,
        [map { $worker->hold(5000 + $_, @{$wishes[$_]}) } 0 .. $#wishes], concurrency => 64);
    is_deeply statuses($answers), {201 => 100, 409 => 700}, 'one has each pair';
};

subtest 'holding and giving back the same few seats' => sub {
    my @mine;
    my %n;
    for my $round (1 .. 8) {
        my @requests = map {
            my $first = 40 + int rand 3;
            $worker->hold($_, map { 'A-' . $_ } $round % 2 ? ($first, $first + 1) : ($first + 1, $first));
        } 1 .. 60;
        push @requests, map { $worker->request($_->[0], DELETE => "/v1/holds/$_->[1]") } @mine;
        my $answers = http_many($worker->target, \@requests, concurrency => 60);
        $n{$_->{status}}++ for @$answers;
        @mine = map { [$_ + 1, $answers->[$_]{json}{hold}] }
            grep { $answers->[$_]{status} == 201 } 0 .. 59;
    }
    is_deeply [grep { $_ != 201 && $_ != 204 && $_ != 409 } keys %n], [], 'no other answer';
    cmp_ok $n{201}, '>', 0, 'some won';
};

subtest 'no lock order was violated' => sub {
    my $metrics = http($worker->target, GET => '/metrics')->{body};
    my ($retries) = $metrics =~ /^ticket_worker_db_retries_total ([0-9]+)$/m;
    is $retries, 0, 'the database saw no deadlock';
};

is $db->broken, '', 'the invariants hold';

done_testing;
